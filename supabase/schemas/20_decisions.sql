-- Decisions: stored with their reasons, carried out change by change as compare-and-set, explained, approved, taken
-- back. One transaction holds a decision, the state it changes, and the messages that tell of it.

-- The marketplace's clock: a demonstration has one of its own, so that it decides the same at any hour.
CREATE FUNCTION post_audit.clock() RETURNS timestamptz
LANGUAGE sql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC'
BEGIN ATOMIC
  SELECT coalesce(m.as_of, clock_timestamp()) FROM post_audit.marketplace AS m;
END;

-- `actual` is what was found, null for nothing (a parameter named found would be hidden by plpgsql's own FOUND).
CREATE FUNCTION post_audit.refuse_moved(subject text, expected jsonb, actual jsonb) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
BEGIN
  RAISE EXCEPTION '% has changed since it was read; nothing was done.', subject
    USING ERRCODE = 'PT409', DETAIL = format('expected %s, found %s', expected, coalesce(actual::text, 'nothing')),
      HINT = 'The next run decides on what is there now.';
END
$$;

CREATE FUNCTION post_audit.next_version(subject text) RETURNS bigint
LANGUAGE sql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC'
BEGIN ATOMIC
  INSERT INTO post_audit.subjects AS s (subject, version) VALUES (next_version.subject, 1)
  ON CONFLICT (subject) DO UPDATE SET version = s.version + 1
  RETURNING version;
END;

-- Put one message into the outbox. Settings for n8n are absolute, so an older one that has not left yet is superseded.
CREATE FUNCTION post_audit.send(decision_id bigint, message jsonb, version bigint DEFAULT NULL) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
DECLARE
  is_demonstration boolean := (SELECT m.kind = 'demonstration' FROM post_audit.marketplace AS m);
BEGIN
  IF message ->> 'channel' LIKE 'n8n\_%' THEN
    UPDATE post_audit.outbox AS o
    SET state = 'superseded', settled_at = clock_timestamp(), detail = format('replaced by decision %s', send.decision_id)
    WHERE o.channel = message ->> 'channel' AND o.subject = message ->> 'subject' AND o.state IN ('pending', 'sent');
  END IF;
  INSERT INTO post_audit.outbox (decision_id, channel, subject, version, says, payload, state, settled_at, detail)
  VALUES (send.decision_id, message ->> 'channel', message ->> 'subject',
    -- settings count with the changes of their subject; a text that repeats itself has a count of its own
    coalesce(send.version, post_audit.next_version(
      CASE WHEN message ->> 'channel' LIKE 'n8n\_%' THEN '' ELSE 'message:' END || (message ->> 'subject'))),
    md5(message ->> 'payload'),
    -- whoever composed the text could not know the number
    replace(message ->> 'payload', '{decision}', send.decision_id::text)::jsonb,
    CASE WHEN is_demonstration THEN 'demonstration' ELSE 'pending' END,
    CASE WHEN is_demonstration THEN clock_timestamp() END,
    CASE WHEN is_demonstration THEN 'A demonstration sends nothing.' END);
END
$$;

CREATE FUNCTION post_audit.decision_as_json(decision_id bigint, changes_limit integer DEFAULT 50) RETURNS jsonb
LANGUAGE sql STABLE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC'
BEGIN ATOMIC
  SELECT jsonb_build_object(
    'id', d.id, 'kind', d.kind, 'run_id', d.run_id, 'step', d.step, 'mode', d.mode, 'outcome', d.outcome,
    'state', d.state, 'headline', d.headline, 'reasons', d.reasons, 'numbers', d.numbers, 'next', d.next,
    'undoes', d.undoes, 'actor', d.actor, 'proposed_by', d.proposed_by, 'as_of', d.as_of, 'decided_at', d.decided_at,
    'final_because', d.final_because,
    'undone_by', (SELECT max(u.id) FROM post_audit.decisions AS u WHERE u.undoes = d.id),
    'counts', (SELECT coalesce(jsonb_object_agg(g.state, g.n), '{}') FROM (
        SELECT c.state, count(*) AS n FROM post_audit.changes AS c WHERE c.decision_id = d.id GROUP BY c.state) AS g),
    'changes', (SELECT coalesce(jsonb_agg(jsonb_build_object(
        'subject', p.subject, 'before', p.before, 'after', p.after, 'state', p.state, 'needs_approval', p.needs_approval,
        'version', p.version, 'carried_out_at', p.carried_out_at, 'detail', p.detail) ORDER BY p.position), '[]')
      FROM (SELECT * FROM post_audit.changes AS c WHERE c.decision_id = d.id ORDER BY c.position LIMIT changes_limit) AS p),
    'messages', (SELECT coalesce(jsonb_agg(jsonb_build_object(
        'id', o.id, 'channel', o.channel, 'subject', o.subject, 'version', o.version, 'state', o.state,
        'payload', o.payload, 'detail', o.detail) ORDER BY o.sequence), '[]')
      FROM post_audit.outbox AS o WHERE o.decision_id = d.id),
    'messages_removed', d.messages_removed
  )
  FROM post_audit.decisions AS d WHERE d.id = decision_as_json.decision_id;
END;

-- What a step does at the end of each of its decisions (and of their undo), in the same transaction, where it has a
-- function for that: recompute what hangs on the changes, write evidence.
CREATE FUNCTION post_audit.finish(step text, decision_id bigint) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
BEGIN
  IF to_regprocedure(format('post_audit.%I(bigint)', 'finish_' || step)) IS NOT NULL THEN
    EXECUTE format('SELECT post_audit.%I($1)', 'finish_' || step) USING decision_id;
  END IF;
END
$$;

-- Carry out the next pending changes of a decision, at most `batch` of them. A change is done by
-- post_audit.change_<kind>, where the kind is what stands before the colon of its subject. Returns what is left.
CREATE FUNCTION post_audit.carry_out(decision_id bigint, batch integer) RETURNS integer
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
DECLARE
  decision post_audit.decisions;
  change post_audit.changes;
  message jsonb;
  new_version bigint;
  remaining integer;
BEGIN
  SELECT * INTO STRICT decision FROM post_audit.decisions AS d WHERE d.id = carry_out.decision_id FOR UPDATE;
  FOR change IN
    SELECT * FROM post_audit.changes AS c
    WHERE c.decision_id = carry_out.decision_id AND c.state = 'pending'
    ORDER BY c.position LIMIT batch FOR UPDATE
  LOOP
    BEGIN
      new_version := post_audit.next_version(change.subject);
      EXECUTE format('SELECT post_audit.%I($1, $2, $3, $4, $5)', 'change_' || split_part(change.subject, ':', 1))
        USING substr(change.subject, strpos(change.subject, ':') + 1), change.before, change.after, new_version, decision.id;
      UPDATE post_audit.changes AS c
      SET state = 'applied', version = new_version, carried_out_at = clock_timestamp()
      WHERE c.decision_id = change.decision_id AND c.position = change.position;
      IF decision.kind = 'undo' THEN
        UPDATE post_audit.changes AS c SET state = 'undone'
        WHERE c.decision_id = decision.undoes AND c.subject = change.subject AND c.state = 'applied';
        -- taking back an undo puts what it had taken back in force again
        UPDATE post_audit.changes AS c SET state = 'applied'
        FROM post_audit.decisions AS u
        WHERE u.id = decision.undoes AND c.decision_id = u.undoes AND c.subject = change.subject AND c.state = 'undone';
      END IF;
      FOR message IN
        SELECT m.value FROM jsonb_array_elements(decision.messages) AS m (value)
        WHERE m.value ->> 'subject' = change.subject AND NOT (m.value ->> 'alert')::boolean
      LOOP
        PERFORM post_audit.send(decision.id, message, new_version);
      END LOOP;
    EXCEPTION WHEN SQLSTATE 'PT409' THEN
      IF NOT decision.independent THEN
        RAISE;
      END IF;
      UPDATE post_audit.changes AS c
      SET state = 'moved', detail = SQLERRM, carried_out_at = clock_timestamp()
      WHERE c.decision_id = change.decision_id AND c.position = change.position;
    END;
  END LOOP;

  SELECT count(*) INTO remaining FROM post_audit.changes AS c
  WHERE c.decision_id = carry_out.decision_id AND c.state = 'pending';
  IF remaining = 0 AND decision.state = 'applying' THEN
    PERFORM post_audit.finish(decision.step, decision.id);
    FOR message IN
      SELECT m.value FROM jsonb_array_elements(decision.messages) AS m (value)
      WHERE NOT (m.value ->> 'alert')::boolean AND NOT EXISTS (
        SELECT 1 FROM post_audit.changes AS c
        WHERE c.decision_id = carry_out.decision_id AND c.subject = m.value ->> 'subject')
        AND NOT EXISTS (
          SELECT 1 FROM post_audit.outbox AS o
          WHERE o.decision_id = carry_out.decision_id AND o.channel = m.value ->> 'channel' AND o.subject = m.value ->> 'subject')
    LOOP
      PERFORM post_audit.send(decision.id, message);
    END LOOP;
    UPDATE post_audit.decisions AS d SET state = CASE WHEN EXISTS (
        SELECT 1 FROM post_audit.changes AS c WHERE c.decision_id = carry_out.decision_id AND c.state = 'applied'
      ) THEN 'applied' ELSE 'moved' END
    WHERE d.id = carry_out.decision_id;
    IF decision.kind = 'undo' THEN
      UPDATE post_audit.decisions AS d SET state = 'undone'
      WHERE d.id = decision.undoes AND NOT EXISTS (
        SELECT 1 FROM post_audit.changes AS c WHERE c.decision_id = d.id AND c.state IN ('applied', 'pending'));
      UPDATE post_audit.decisions AS d SET state = 'applied'
      FROM post_audit.decisions AS u WHERE u.id = decision.undoes AND d.id = u.undoes AND d.state = 'undone';
    END IF;
  END IF;
  RETURN remaining;
END
$$;

CREATE FUNCTION post_audit.answer(decision_id bigint, remaining integer, repeated boolean DEFAULT false) RETURNS jsonb
LANGUAGE sql STABLE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC'
RETURN jsonb_build_object('decision', post_audit.decision_as_json(decision_id), 'remaining', remaining, 'repeated', repeated);

-- Refuse whoever no longer owns the run.
CREATE FUNCTION post_audit.require_run(run_id bigint, token bigint) RETURNS post_audit.runs
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
DECLARE
  run post_audit.runs;
BEGIN
  SELECT * INTO run FROM post_audit.runs AS r WHERE r.id = run_id FOR UPDATE;
  IF run.id IS NULL THEN
    RAISE EXCEPTION 'There is no run %.', run_id USING ERRCODE = 'no_data_found';
  END IF;
  IF run.token <> token OR run.state <> 'running' THEN
    RAISE EXCEPTION 'Run % belongs to another worker now or has ended; this one stops.', run_id
      USING ERRCODE = 'PT423', DETAIL = format('token %s was given, %s is valid, state %s', token, run.token, run.state);
  END IF;
  RETURN run;
END
$$;

-- Store what a step decided in a run, and carry out what its mode allows, at most `batch` changes; `remaining` are left for
-- post_audit_apply_batch. Asked again for the same run and step, it returns the stored decision, with `repeated`.
CREATE FUNCTION public.post_audit_apply_decision(
  run_id bigint, token bigint, step text, decision jsonb, duration_ms integer DEFAULT 0, batch integer DEFAULT 500
) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' SET statement_timeout = '25s' AS $$
DECLARE
  run post_audit.runs := post_audit.require_run(run_id, token);
  stored post_audit.decisions;
  current_mode text;
  message jsonb;
  new_id bigint;
  remaining integer := 0;
BEGIN
  SELECT * INTO stored FROM post_audit.decisions AS d
  WHERE d.run_id = post_audit_apply_decision.run_id AND d.step = post_audit_apply_decision.step;
  IF stored.id IS NOT NULL THEN
    RETURN post_audit.answer(stored.id, (
      SELECT count(*)::integer FROM post_audit.changes AS c WHERE c.decision_id = stored.id AND c.state = 'pending'), true);
  END IF;

  SELECT m.mode INTO current_mode FROM post_audit.step_modes AS m WHERE m.step = post_audit_apply_decision.step FOR SHARE;
  IF current_mode IS NULL THEN
    RAISE EXCEPTION 'There is no step named %.', step USING ERRCODE = 'invalid_parameter_value';
  END IF;

  -- A newer look replaces what still waits from an older one.
  UPDATE post_audit.changes AS c SET state = 'superseded'
  FROM post_audit.decisions AS d
  WHERE d.id = c.decision_id AND d.step = post_audit_apply_decision.step AND c.state = 'proposed';
  UPDATE post_audit.decisions AS d SET state = 'superseded'
  WHERE d.step = post_audit_apply_decision.step AND d.state = 'proposed';

  INSERT INTO post_audit.decisions
    (run_id, step, mode, outcome, state, headline, reasons, numbers, next, messages, undo_messages, independent,
     final_because, hold_days, actor, as_of)
  VALUES (run_id, step, current_mode, decision ->> 'outcome', 'noted', decision ->> 'headline', decision -> 'reasons',
    decision -> 'numbers', coalesce(decision ->> 'next', ''), decision -> 'messages', decision -> 'undo_messages',
    (decision ->> 'independent')::boolean, coalesce(decision ->> 'final_because', ''),
    coalesce((decision ->> 'hold_days')::integer, 7), 'protocol', run.as_of)
  RETURNING id INTO new_id;
  UPDATE post_audit.decisions AS d SET next = replace(d.next, '{decision}', new_id::text) WHERE d.id = new_id;

  INSERT INTO post_audit.changes (decision_id, position, subject, before, after, needs_approval, state)
  SELECT new_id, c.position, c.value ->> 'subject', c.value -> 'before', c.value -> 'after',
    nullif(c.value -> 'needs_approval', 'null'),
    CASE WHEN current_mode = 'act' AND coalesce(c.value -> 'needs_approval', 'null') = 'null' THEN 'pending' ELSE 'proposed' END
  FROM jsonb_array_elements(decision -> 'changes') WITH ORDINALITY AS c (value, position);

  FOR message IN
    SELECT m.value FROM jsonb_array_elements(decision -> 'messages') AS m (value)
    WHERE (m.value ->> 'alert')::boolean OR NOT EXISTS (SELECT 1 FROM post_audit.changes AS c WHERE c.decision_id = new_id)
  LOOP
    PERFORM post_audit.send(new_id, message);
  END LOOP;

  IF EXISTS (SELECT 1 FROM post_audit.changes AS c WHERE c.decision_id = new_id AND c.state = 'pending') THEN
    UPDATE post_audit.decisions AS d SET state = 'applying' WHERE d.id = new_id;
    remaining := post_audit.carry_out(new_id, batch);
  ELSIF EXISTS (SELECT 1 FROM post_audit.changes AS c WHERE c.decision_id = new_id) THEN
    UPDATE post_audit.decisions AS d SET state = 'proposed' WHERE d.id = new_id;
  ELSE
    PERFORM post_audit.finish(step, new_id);
  END IF;

  INSERT INTO post_audit.step_runs (run_id, step, state, decision_id, duration_ms)
  VALUES (run_id, step, 'decided', new_id, duration_ms);
  RETURN post_audit.answer(new_id, remaining);
END
$$;

-- Go on with a decision whose changes are too many for one call. The caller repeats until nothing remains.
CREATE FUNCTION public.post_audit_apply_batch(decision_id bigint, batch integer DEFAULT 500) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' SET statement_timeout = '25s' AS $$
DECLARE
  -- before the answer, which is STABLE and sees only what stood when its statement began
  remaining integer := post_audit.carry_out(decision_id, batch);
BEGIN
  RETURN post_audit.answer(decision_id, remaining);
END
$$;

CREATE FUNCTION post_audit.require_decision(decision_id bigint) RETURNS post_audit.decisions
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
DECLARE
  decision post_audit.decisions;
BEGIN
  SELECT * INTO decision FROM post_audit.decisions AS d WHERE d.id = decision_id FOR UPDATE;
  IF decision.id IS NULL THEN
    RAISE EXCEPTION 'There is no decision %.', decision_id
      USING ERRCODE = 'no_data_found', HINT = 'See the list: post-audit decisions.';
  END IF;
  RETURN decision;
END
$$;

-- Store what a person wants done as a proposal of a step, in a run of its own: nothing is changed before somebody else
-- approves it. It replaces what still waits for approval of that step.
CREATE FUNCTION public.post_audit_apply_proposal(step text, decision jsonb, actor text) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
DECLARE
  new_run bigint;
  new_id bigint;
BEGIN
  IF NOT EXISTS (SELECT 1 FROM post_audit.step_modes AS m WHERE m.step = post_audit_apply_proposal.step) THEN
    RAISE EXCEPTION 'There is no step named %.', step USING ERRCODE = 'invalid_parameter_value';
  END IF;
  IF coalesce(jsonb_array_length(decision -> 'changes'), 0) = 0 THEN
    RAISE EXCEPTION 'A proposal changes something.' USING ERRCODE = 'invalid_parameter_value';
  END IF;
  UPDATE post_audit.changes AS c SET state = 'superseded'
  FROM post_audit.decisions AS d
  WHERE d.id = c.decision_id AND d.step = post_audit_apply_proposal.step AND c.state = 'proposed';
  UPDATE post_audit.decisions AS d SET state = 'superseded'
  WHERE d.step = post_audit_apply_proposal.step AND d.state = 'proposed';
  INSERT INTO post_audit.runs (tick, kind, state, steps, owner, as_of, lease_expires_at, finished_at)
  VALUES ('by hand ' || gen_random_uuid(), 'step', 'completed', jsonb_build_array(step), actor, post_audit.clock(),
    clock_timestamp(), clock_timestamp())
  RETURNING id INTO new_run;
  INSERT INTO post_audit.decisions
    (run_id, step, mode, outcome, state, headline, reasons, numbers, next, messages, undo_messages, independent,
     final_because, hold_days, actor, proposed_by, as_of)
  VALUES (new_run, step, 'propose', 'act', 'proposed', decision ->> 'headline', decision -> 'reasons',
    coalesce(decision -> 'numbers', '{}'), coalesce(decision ->> 'next', ''), coalesce(decision -> 'messages', '[]'),
    coalesce(decision -> 'undo_messages', '[]'), coalesce((decision ->> 'independent')::boolean, false),
    coalesce(decision ->> 'final_because', ''), coalesce((decision ->> 'hold_days')::integer, 7), actor, actor, post_audit.clock())
  RETURNING id INTO new_id;
  UPDATE post_audit.decisions AS d SET next = replace(d.next, '{decision}', new_id::text) WHERE d.id = new_id;
  INSERT INTO post_audit.changes (decision_id, position, subject, before, after, state)
  SELECT new_id, c.position, c.value ->> 'subject', c.value -> 'before', c.value -> 'after', 'proposed'
  FROM jsonb_array_elements(decision -> 'changes') WITH ORDINALITY AS c (value, position);
  INSERT INTO post_audit.step_runs (run_id, step, state, decision_id, duration_ms) VALUES (new_run, step, 'decided', new_id, 0);
  RETURN post_audit.answer(new_id, 0);
END
$$;

-- Agree to what a decision proposes: all of it, or the subjects that are named. Refused for whoever proposed it by hand.
CREATE FUNCTION public.post_audit_apply_approval(
  decision_id bigint, actor text, subjects jsonb DEFAULT NULL, batch integer DEFAULT 500
) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' SET statement_timeout = '25s' AS $$
DECLARE
  decision post_audit.decisions := post_audit.require_decision(decision_id);
  remaining integer;
BEGIN
  IF decision.proposed_by = actor THEN
    RAISE EXCEPTION '% proposed decision % by hand, so somebody else approves it.', actor, decision_id
      USING ERRCODE = 'insufficient_privilege', HINT = 'Ask another approver, or decline it.';
  END IF;
  UPDATE post_audit.changes AS c SET state = 'pending', detail = format('approved by %s', actor)
  WHERE c.decision_id = post_audit_apply_approval.decision_id AND c.state = 'proposed'
    AND (subjects IS NULL OR subjects ? c.subject);
  IF NOT FOUND THEN
    RAISE EXCEPTION 'Decision % has nothing that waits for approval: it is %.', decision_id, decision.state
      USING ERRCODE = 'PT409', HINT = 'See what waits: post-audit decisions --waiting.';
  END IF;
  UPDATE post_audit.decisions AS d SET state = 'applying', actor = post_audit_apply_approval.actor
  WHERE d.id = post_audit_apply_approval.decision_id;
  remaining := post_audit.carry_out(decision_id, batch);
  RETURN post_audit.answer(decision_id, remaining);
END
$$;

-- Decline what a decision proposes; the same is not proposed again for a while.
CREATE FUNCTION public.post_audit_apply_rejection(decision_id bigint, actor text, hold_days integer DEFAULT NULL) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
DECLARE
  decision post_audit.decisions := post_audit.require_decision(decision_id);
BEGIN
  INSERT INTO post_audit.holds AS h (subject, undone, held_at, until, decision_id)
  SELECT DISTINCT ON (c.subject) c.subject, c.after, post_audit.clock(), post_audit.clock() + make_interval(days => coalesce(hold_days, decision.hold_days)), decision.id
  FROM post_audit.changes AS c WHERE c.decision_id = decision.id AND c.state = 'proposed'
  ORDER BY c.subject, c.position DESC
  ON CONFLICT (subject) DO UPDATE SET undone = EXCLUDED.undone, held_at = EXCLUDED.held_at, until = EXCLUDED.until, decision_id = EXCLUDED.decision_id;
  UPDATE post_audit.changes AS c SET state = 'rejected', detail = format('declined by %s', actor)
  WHERE c.decision_id = decision.id AND c.state = 'proposed';
  IF NOT FOUND THEN
    RAISE EXCEPTION 'Decision % has nothing that waits for approval: it is %.', decision_id, decision.state
      USING ERRCODE = 'PT409', HINT = 'See what waits: post-audit decisions --waiting.';
  END IF;
  UPDATE post_audit.decisions AS d SET state = 'rejected' WHERE d.id = decision.id AND d.state = 'proposed';
  RETURN post_audit.answer(decision.id, 0);
END
$$;

-- Take a decision back: the inverse changes, the messages that tell of it, and a hold on each subject.
CREATE FUNCTION public.post_audit_apply_undo(
  decision_id bigint, actor text, subjects jsonb DEFAULT NULL, hold_days integer DEFAULT NULL, batch integer DEFAULT 500
) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' SET statement_timeout = '25s' AS $$
DECLARE
  decision post_audit.decisions := post_audit.require_decision(decision_id);
  later record;
  new_id bigint;
  remaining integer;
  verb text := CASE decision.kind WHEN 'undo' THEN 'Restored' ELSE 'Took back' END;
BEGIN
  IF decision.final_because <> '' THEN
    RAISE EXCEPTION 'Decision % cannot be taken back: %', decision_id, decision.final_because USING ERRCODE = 'PT409';
  END IF;
  IF decision.kind = 'undo' AND (SELECT d.kind = 'undo' FROM post_audit.decisions AS d WHERE d.id = decision.undoes) THEN
    RAISE EXCEPTION 'Decision % put another one back in force.', decision_id
      USING ERRCODE = 'PT409', HINT = (SELECT format('Undo that one: post-audit undo %s.', d.undoes)
        FROM post_audit.decisions AS d WHERE d.id = decision.undoes);
  END IF;
  IF decision.state = 'applying' THEN
    RAISE EXCEPTION 'Decision % is still being carried out.', decision_id
      USING ERRCODE = 'PT409', HINT = 'Let the run end (post-audit run resumes an interrupted one), then undo.';
  END IF;
  IF NOT EXISTS (
    SELECT 1 FROM post_audit.changes AS c
    WHERE c.decision_id = decision.id AND c.state = 'applied' AND (subjects IS NULL OR subjects ? c.subject)
  ) THEN
    RAISE EXCEPTION 'Decision % changed nothing that could be taken back: it is %.', decision_id, decision.state
      USING ERRCODE = 'PT409';
  END IF;
  SELECT l.decision_id, l.subject, d.headline INTO later
  FROM post_audit.changes AS c
  JOIN post_audit.changes AS l ON l.subject = c.subject AND l.decision_id > c.decision_id AND l.state = 'applied'
  JOIN post_audit.decisions AS d ON d.id = l.decision_id
  WHERE c.decision_id = decision.id AND c.state = 'applied' AND (subjects IS NULL OR subjects ? c.subject)
    -- a later decision and its undo cancel each other
    AND NOT (d.kind = 'undo' AND d.undoes > decision.id)
  ORDER BY l.decision_id DESC LIMIT 1;
  IF later.decision_id IS NOT NULL THEN
    RAISE EXCEPTION 'Decision % stands under decision % (%), which changed % again.',
      decision_id, later.decision_id, later.headline, later.subject
      USING ERRCODE = 'PT409', HINT = format('Undo the later one first: post-audit undo %s.', later.decision_id);
  END IF;

  INSERT INTO post_audit.decisions
    (kind, step, mode, outcome, state, headline, reasons, numbers, messages, undo_messages, independent, undoes, actor, as_of)
  VALUES ('undo', decision.step, 'act', 'act', 'applying', format('%s decision %s: %s', verb, decision.id, decision.headline),
    jsonb_build_array(jsonb_build_object('code', 'undo', 'numbers', jsonb_build_object('decision', decision.id),
      'text', CASE WHEN decision.kind = 'undo' THEN format('%s asked for it; what was held is free again.', actor)
        ELSE format('%s asked for it; the same is not done again for %s unless the facts ask for something else.',
        actor, CASE coalesce(hold_days, decision.hold_days) WHEN 1 THEN 'a day' ELSE coalesce(hold_days, decision.hold_days) || ' days' END) END)),
    jsonb_build_object('undoes', decision.id),
    -- when only some subjects are taken back, only their messages are sent
    (SELECT coalesce(jsonb_agg(m.value), '[]') FROM jsonb_array_elements(decision.undo_messages) AS m (value)
      WHERE subjects IS NULL OR subjects ? (m.value ->> 'subject')),
    decision.messages, decision.independent, decision.id, actor, post_audit.clock())
  RETURNING id INTO new_id;
  INSERT INTO post_audit.changes (decision_id, position, subject, before, after, state)
  SELECT new_id, row_number() OVER (ORDER BY c.position DESC), c.subject, c.after, c.before, 'pending'
  FROM post_audit.changes AS c
  WHERE c.decision_id = decision.id AND c.state = 'applied' AND (subjects IS NULL OR subjects ? c.subject);

  IF decision.kind = 'undo' THEN
    DELETE FROM post_audit.holds AS h USING post_audit.changes AS c
    WHERE c.decision_id = new_id AND h.subject = c.subject;
  ELSE
    INSERT INTO post_audit.holds AS h (subject, undone, held_at, until, decision_id)
    SELECT DISTINCT ON (c.subject) c.subject, c.before, post_audit.clock(), post_audit.clock() + make_interval(days => coalesce(hold_days, decision.hold_days)), new_id
    FROM post_audit.changes AS c WHERE c.decision_id = new_id ORDER BY c.subject, c.position DESC
    ON CONFLICT (subject) DO UPDATE SET undone = EXCLUDED.undone, held_at = EXCLUDED.held_at, until = EXCLUDED.until, decision_id = EXCLUDED.decision_id;
  END IF;
  remaining := post_audit.carry_out(new_id, batch);
  RETURN post_audit.answer(new_id, remaining);
END
$$;

-- Let a step act, propose or rest (`act`, `propose`, `paused`). What is decided from then on obeys it.
CREATE FUNCTION public.post_audit_apply_mode(step text, mode text, actor text) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
DECLARE
  answer jsonb;
BEGIN
  UPDATE post_audit.step_modes AS m
  SET mode = post_audit_apply_mode.mode, changed_by = actor, changed_at = clock_timestamp()
  WHERE m.step = post_audit_apply_mode.step
  RETURNING jsonb_build_object('step', m.step, 'mode', m.mode, 'changed_by', m.changed_by, 'changed_at', m.changed_at) INTO answer;
  IF answer IS NULL THEN
    RAISE EXCEPTION 'There is no step named %.', step
      USING ERRCODE = 'no_data_found', HINT = (SELECT 'The steps are ' || string_agg(m.step, ', ' ORDER BY m.position) || '.' FROM post_audit.step_modes AS m);
  END IF;
  RETURN answer;
END
$$;

-- Give every step that nobody has touched since the migration this mode.
CREATE FUNCTION public.post_audit_apply_initial_modes(mode text, actor text) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
BEGIN
  UPDATE post_audit.step_modes AS m
  SET mode = post_audit_apply_initial_modes.mode, changed_by = actor, changed_at = clock_timestamp()
  WHERE m.changed_by = 'migration';
  RETURN (SELECT jsonb_object_agg(m.step, m.mode) FROM post_audit.step_modes AS m);
END
$$;

-- One decision with its reasons, numbers, messages and first `changes_limit` changes; null where there is none.
CREATE FUNCTION public.post_audit_read_decision(decision_id bigint, changes_limit integer DEFAULT 500) RETURNS jsonb
LANGUAGE sql STABLE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC'
RETURN post_audit.decision_as_json(decision_id, changes_limit);

-- Decisions, newest first, each with its first five changes. `before` is the last id of the page before; with `waiting`, only
-- those that have something to approve.
CREATE FUNCTION public.post_audit_read_decisions(
  before bigint DEFAULT NULL, "limit" integer DEFAULT 50, step text DEFAULT NULL, waiting boolean DEFAULT false
) RETURNS jsonb
LANGUAGE sql STABLE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC'
BEGIN ATOMIC
  SELECT coalesce(jsonb_agg(post_audit.decision_as_json(page.id, 5) ORDER BY page.id DESC), '[]')
  FROM (
    SELECT d.id FROM post_audit.decisions AS d
    WHERE (post_audit_read_decisions.before IS NULL OR d.id < post_audit_read_decisions.before)
      AND (post_audit_read_decisions.step IS NULL OR d.step = post_audit_read_decisions.step)
      AND (NOT waiting OR EXISTS (
        SELECT 1 FROM post_audit.changes AS c WHERE c.decision_id = d.id AND c.state = 'proposed'))
    ORDER BY d.id DESC LIMIT post_audit_read_decisions."limit"
  ) AS page;
END;
