-- The outbox: a message is claimed for a while, tried, and settled with what came of it. It waits while it is `pending`, or
-- `sent` and not acknowledged; every other state is an end.

-- The table as an earlier application of this file made it learns what it lacks.
DO $$
BEGIN
  IF NOT EXISTS (
    SELECT 1 FROM pg_constraint AS c WHERE c.conrelid = 'post_audit.outbox'::regclass AND c.conname = 'outbox_state_check'
      AND pg_get_constraintdef(c.oid) LIKE '%applied%'
  ) THEN
    ALTER TABLE post_audit.outbox DROP CONSTRAINT IF EXISTS outbox_state_check, ADD CONSTRAINT outbox_state_check CHECK (
      state IN ('pending', 'sent', 'applied', 'delivered', 'refused', 'shown', 'superseded', 'dead', 'dropped', 'demonstration'));
    DROP INDEX IF EXISTS post_audit.outbox_due, post_audit.outbox_subject;
  END IF;
END
$$;
ALTER TABLE post_audit.outbox
  -- a digest of the words, without the number of the decision
  ADD COLUMN IF NOT EXISTS says text,
  -- whose turn it was sent in: a channel and a digest of the address
  ADD COLUMN IF NOT EXISTS receiver text,
  -- what the receiver calls it
  ADD COLUMN IF NOT EXISTS reference jsonb,
  -- the message that said the same and was sent for this one too
  ADD COLUMN IF NOT EXISTS carried_by uuid,
  -- when somebody asked for it again
  ADD COLUMN IF NOT EXISTS retried_at timestamptz;
CREATE INDEX IF NOT EXISTS outbox_waiting ON post_audit.outbox (sequence) WHERE state IN ('pending', 'sent');
CREATE INDEX IF NOT EXISTS outbox_versions ON post_audit.outbox (channel, subject, version);
CREATE INDEX IF NOT EXISTS outbox_carried ON post_audit.outbox (carried_by) WHERE carried_by IS NOT NULL;

-- A receiver takes one message at a time, whoever sends it, and not more often than it allows. What counts is when a try
-- ended: it has arrived by then, so that no delay on the way can bring two closer together than they were let go.
CREATE TABLE IF NOT EXISTS post_audit.receivers (
  -- a channel and a digest of the address, which may be a secret
  receiver text PRIMARY KEY,
  busy_by text,
  -- the next try begins no earlier
  free_at timestamptz NOT NULL DEFAULT '-infinity',
  -- when the last tries ended, as many as its limit looks back on
  ended timestamptz[] NOT NULL DEFAULT '{}'
);

-- From when on a receiver may be tried again, for the tries that have ended.
CREATE FUNCTION post_audit.receiver_free_at(ended timestamptz[], spacing_seconds double precision, per_minute integer) RETURNS timestamptz
LANGUAGE sql IMMUTABLE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC'
RETURN greatest(
  '-infinity'::timestamptz,
  ended[cardinality(ended)] + make_interval(secs => spacing_seconds),
  ended[cardinality(ended) - per_minute + 1] + interval '1 minute');

-- Claim up to `batch` messages that are due, for `lease_seconds`: nobody else gets them meanwhile, and those that were not
-- settled are due again afterwards. With a `receiver`, one message at most, and none before the receiver may be
-- tried again; those that say the same as it go with it (`others`), unless their subject said something else in
-- between. `former` is what the receiver was last told of the subject within a day, where that was the same.
-- A setting for n8n that is older than another one of its subject is superseded here, whatever brought it back.
CREATE FUNCTION public.post_audit_apply_claim_messages(
  owner text, batch integer DEFAULT 20, lease_seconds integer DEFAULT 60, channel text DEFAULT NULL,
  receiver text DEFAULT NULL, spacing_seconds double precision DEFAULT 0, per_minute integer DEFAULT NULL
) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
DECLARE
  turn post_audit.receivers;
  present timestamptz;
  claimed uuid[];
BEGIN
  -- What may be sent depends on what others hold: claims are made one after the other, each in a millisecond.
  PERFORM pg_advisory_xact_lock(hashtextextended('post_audit.claim_messages', 0));
  present := clock_timestamp();
  IF receiver IS NOT NULL THEN
    INSERT INTO post_audit.receivers AS r (receiver) VALUES (post_audit_apply_claim_messages.receiver) ON CONFLICT DO NOTHING;
    SELECT * INTO turn FROM post_audit.receivers AS r WHERE r.receiver = post_audit_apply_claim_messages.receiver FOR UPDATE;
    IF turn.busy_by IS NOT NULL AND turn.free_at <= present THEN
      -- Whoever had the turn is gone. It may have sent until its lease ended.
      turn.ended := turn.ended || turn.free_at;
      turn.free_at := post_audit.receiver_free_at(turn.ended, spacing_seconds, per_minute);
      UPDATE post_audit.receivers AS r SET ended = turn.ended, free_at = turn.free_at, busy_by = NULL WHERE r.receiver = turn.receiver;
    END IF;
    IF turn.free_at > present THEN
      RETURN '[]'::jsonb;
    END IF;
  END IF;

  UPDATE post_audit.outbox AS o
  SET state = 'superseded', settled_at = present, detail = 'A newer version of it has entered the outbox.'
  WHERE o.id IN (
    SELECT s.id FROM post_audit.outbox AS s
    WHERE s.state IN ('pending', 'sent') AND s.channel LIKE 'n8n\_%' AND EXISTS (
      SELECT 1 FROM post_audit.outbox AS n WHERE n.channel = s.channel AND n.subject = s.subject AND n.version > s.version)
    -- here as below: nothing waits for a row while it holds another, so that nobody waits in a circle
    FOR UPDATE SKIP LOCKED);

  WITH due AS (
    SELECT o.id FROM post_audit.outbox AS o
    WHERE o.state IN ('pending', 'sent') AND o.next_attempt_at <= present
      AND (post_audit_apply_claim_messages.channel IS NULL OR o.channel = post_audit_apply_claim_messages.channel)
      AND (o.claimed_until IS NULL OR o.claimed_until <= present)
      -- not while another version of it is on its way, be it superseded by now
      AND NOT (o.channel LIKE 'n8n\_%' AND EXISTS (
        SELECT 1 FROM post_audit.outbox AS h WHERE h.channel = o.channel AND h.subject = o.subject AND h.claimed_until > present))
    ORDER BY o.sequence
    LIMIT CASE WHEN post_audit_apply_claim_messages.receiver IS NULL THEN batch ELSE least(batch, 1) END
    FOR UPDATE SKIP LOCKED
  ), taken AS (
    UPDATE post_audit.outbox AS o
    SET claimed_by = owner, claimed_until = present + make_interval(secs => lease_seconds), attempts = o.attempts + 1,
      receiver = post_audit_apply_claim_messages.receiver, carried_by = NULL
    FROM due WHERE o.id = due.id
    RETURNING o.id
  )
  SELECT coalesce(array_agg(t.id), '{}') INTO claimed FROM taken AS t;

  IF receiver IS NOT NULL AND cardinality(claimed) > 0 THEN
    UPDATE post_audit.receivers AS r
    SET busy_by = owner, free_at = present + make_interval(secs => lease_seconds) WHERE r.receiver = turn.receiver;
    UPDATE post_audit.outbox AS o
    SET claimed_by = owner, claimed_until = present + make_interval(secs => lease_seconds),
      receiver = post_audit_apply_claim_messages.receiver, carried_by = lead.id
    FROM post_audit.outbox AS lead
    WHERE lead.id = claimed[1] AND lead.channel = 'telegram' AND o.id IN (
      SELECT s.id FROM post_audit.outbox AS s
      WHERE s.channel = lead.channel AND s.says = lead.says AND s.id <> lead.id AND s.state = 'pending'
        AND (s.claimed_until IS NULL OR s.claimed_until <= present)
        AND NOT EXISTS (
          SELECT 1 FROM post_audit.outbox AS b
          WHERE b.channel = s.channel AND b.subject = s.subject AND b.state = 'pending' AND b.says IS DISTINCT FROM s.says
            AND b.sequence BETWEEN least(s.sequence, lead.sequence) AND greatest(s.sequence, lead.sequence))
      FOR UPDATE SKIP LOCKED);
  END IF;

  RETURN (
    SELECT coalesce(jsonb_agg(jsonb_build_object(
      'message_id', 'msg_' || replace(c.id::text, '-', ''), 'decision_id', c.decision_id, 'channel', c.channel,
      'subject', c.subject, 'version', c.version, 'payload', c.payload, 'attempt', c.attempts, 'created_at', c.created_at,
      'tried_at', present, 'waited_seconds', extract(epoch FROM present - coalesce(c.retried_at, c.created_at)),
      'others', (SELECT coalesce(jsonb_agg(o.decision_id ORDER BY o.sequence), '[]')
        FROM post_audit.outbox AS o WHERE o.carried_by = c.id AND o.state = 'pending' AND o.claimed_by = owner),
      'can_undo', d.final_because = '' AND EXISTS (
        SELECT 1 FROM post_audit.changes AS g WHERE g.decision_id = d.id AND g.state = 'applied'),
      'can_approve', EXISTS (SELECT 1 FROM post_audit.changes AS g WHERE g.decision_id = d.id AND g.state = 'proposed'),
      'former', CASE WHEN c.reference ? 'anew' THEN NULL ELSE (
        SELECT f.reference FROM post_audit.outbox AS f
        WHERE f.channel = c.channel AND f.receiver = c.receiver AND f.subject = c.subject AND f.state = 'delivered'
          AND f.settled_at > present - interval '1 day' AND f.says = c.says AND f.carried_by IS NULL AND f.reference IS NOT NULL
          AND NOT EXISTS (
            SELECT 1 FROM post_audit.outbox AS b
            WHERE b.channel = f.channel AND b.subject = f.subject AND b.state = 'delivered' AND b.sequence > f.sequence
              AND b.says IS DISTINCT FROM c.says)
        ORDER BY f.sequence DESC LIMIT 1) END
    ) ORDER BY c.sequence), '[]')
    FROM post_audit.outbox AS c JOIN post_audit.decisions AS d ON d.id = c.decision_id WHERE c.id = ANY (claimed));
END
$$;

-- Let go of what a sender that is known to be dead had in its hands: its messages are due and its receiver may be tried as if its
-- try had ended now. How many messages that was.
CREATE FUNCTION public.post_audit_apply_release_messages(owner text) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
DECLARE
  released integer;
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended('post_audit.claim_messages', 0));
  -- who claims next takes the end of the turn for the end of the try, and keeps the receiver's distance from it
  UPDATE post_audit.receivers AS r SET free_at = clock_timestamp()
  WHERE r.busy_by = post_audit_apply_release_messages.owner AND r.free_at > clock_timestamp();
  UPDATE post_audit.outbox AS o SET claimed_until = clock_timestamp()
  WHERE o.claimed_by = post_audit_apply_release_messages.owner AND o.claimed_until > clock_timestamp();
  GET DIAGNOSTICS released = ROW_COUNT;
  RETURN jsonb_build_object('owner', owner, 'released', released);
END
$$;

-- What came of a try. A message whose `state` is pending or sent is tried again after `retry_seconds`; its receiver is tried
-- again after `hold_seconds`, where it asked for that or did not answer. `reference` is what the receiver calls the message,
-- or says (`anew`) that it no longer has the one that said the same.
-- What was superseded or dropped while it was on its way stays so. Settling again as it was settled changes nothing.
CREATE FUNCTION public.post_audit_apply_settle_message(
  message_id text, owner text, state text, detail text, retry_seconds double precision DEFAULT 0,
  hold_seconds double precision DEFAULT 0, reference jsonb DEFAULT NULL,
  spacing_seconds double precision DEFAULT 0, per_minute integer DEFAULT NULL
) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
DECLARE
  message post_audit.outbox;
  turn post_audit.receivers;
  present timestamptz := clock_timestamp();
  waits boolean := post_audit_apply_settle_message.state IN ('pending', 'sent');
BEGIN
  -- the receiver before the message, as whoever claims takes them
  SELECT r.* INTO turn FROM post_audit.receivers AS r JOIN post_audit.outbox AS o ON o.receiver = r.receiver
  WHERE o.id = replace(message_id, 'msg_', '')::uuid AND r.busy_by = owner FOR UPDATE OF r;
  SELECT * INTO message FROM post_audit.outbox AS o
  WHERE o.id = replace(message_id, 'msg_', '')::uuid AND o.claimed_by = owner FOR UPDATE;
  IF message.id IS NULL THEN
    -- settled just so already: the answer got lost
    IF EXISTS (
      SELECT 1 FROM post_audit.outbox AS o
      WHERE o.id = replace(message_id, 'msg_', '')::uuid AND o.claimed_by IS NULL
        AND o.state = post_audit_apply_settle_message.state AND o.detail IS NOT DISTINCT FROM post_audit_apply_settle_message.detail
    ) THEN
      RETURN jsonb_build_object('message_id', message_id, 'state', state);
    END IF;
    RAISE EXCEPTION 'Message % is no longer claimed by this worker.', message_id USING ERRCODE = 'PT409';
  END IF;
  UPDATE post_audit.outbox AS o
  SET claimed_by = NULL, claimed_until = NULL,
    state = CASE WHEN o.state IN ('pending', 'sent') THEN post_audit_apply_settle_message.state ELSE o.state END,
    detail = CASE WHEN o.state IN ('pending', 'sent') THEN post_audit_apply_settle_message.detail
      ELSE concat_ws(' ', o.detail, 'It was on its way:', post_audit_apply_settle_message.detail) END,
    reference = coalesce(post_audit_apply_settle_message.reference, o.reference),
    next_attempt_at = CASE WHEN waits THEN present + make_interval(secs => retry_seconds) ELSE o.next_attempt_at END,
    settled_at = CASE WHEN o.state NOT IN ('pending', 'sent') THEN o.settled_at WHEN NOT waits THEN present END,
    carried_by = CASE WHEN waits THEN NULL ELSE o.carried_by END
  WHERE (o.id = message.id OR o.carried_by = message.id) AND o.claimed_by = owner;
  IF turn.receiver IS NOT NULL THEN
    turn.ended := (turn.ended || present)[greatest(1, cardinality(turn.ended) + 2 - greatest(1, coalesce(per_minute, 1))):];
    UPDATE post_audit.receivers AS r
    SET busy_by = NULL, ended = turn.ended,
      free_at = greatest(present + make_interval(secs => hold_seconds),
        post_audit.receiver_free_at(turn.ended, spacing_seconds, per_minute))
    WHERE r.receiver = turn.receiver;
  END IF;
  RETURN (SELECT jsonb_build_object('message_id', message_id, 'state', o.state) FROM post_audit.outbox AS o WHERE o.id = message.id);
END
$$;

-- In how many seconds the next message can be tried, where `receivers` names the receiver of each channel that has one;
-- null when none waits. Seconds, so that nobody compares two clocks.
CREATE FUNCTION public.post_audit_read_outbox_due(receivers jsonb DEFAULT '{}') RETURNS jsonb
LANGUAGE sql STABLE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC'
BEGIN ATOMIC
  SELECT jsonb_build_object(
    -- greatest() leaves nulls out, and no message is not a message that is due
    'due_in_seconds', CASE WHEN count(*) > 0 THEN greatest(0, extract(epoch FROM min(w.at) - clock_timestamp())) END,
    'waiting', coalesce(sum(w.messages), 0))
  FROM (
    SELECT greatest(min(greatest(o.next_attempt_at, o.claimed_until)), (
        SELECT r.free_at FROM post_audit.receivers AS r WHERE r.receiver = receivers ->> o.channel)) AS at,
      count(*) AS messages
    FROM post_audit.outbox AS o WHERE o.state IN ('pending', 'sent') GROUP BY o.channel
  ) AS w;
END;

CREATE FUNCTION post_audit.message_as_json(message post_audit.outbox) RETURNS jsonb
LANGUAGE sql STABLE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC'
RETURN jsonb_build_object('number', message.sequence, 'message_id', 'msg_' || replace(message.id::text, '-', ''),
  'decision_id', message.decision_id, 'channel', message.channel, 'subject', message.subject, 'version', message.version,
  'state', message.state, 'attempts', message.attempts, 'detail', message.detail, 'payload', message.payload,
  'created_at', message.created_at, 'settled_at', message.settled_at,
  'next_attempt_at', CASE WHEN message.state IN ('pending', 'sent') THEN message.next_attempt_at END);

-- Messages, newest first, at most `limit`: those below number `before`, in one state or of one channel where they are named.
CREATE FUNCTION public.post_audit_read_messages(
  before bigint DEFAULT NULL, "limit" integer DEFAULT 50, state text DEFAULT NULL, channel text DEFAULT NULL
) RETURNS jsonb
LANGUAGE sql STABLE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC'
BEGIN ATOMIC
  SELECT coalesce(jsonb_agg(post_audit.message_as_json(m) ORDER BY m.sequence DESC), '[]')
  FROM (
    SELECT * FROM post_audit.outbox AS o
    WHERE (post_audit_read_messages.before IS NULL OR o.sequence < post_audit_read_messages.before)
      AND (post_audit_read_messages.state IS NULL OR o.state = post_audit_read_messages.state)
      AND (post_audit_read_messages.channel IS NULL OR o.channel = post_audit_read_messages.channel)
    ORDER BY o.sequence DESC LIMIT post_audit_read_messages."limit"
  ) AS m;
END;

-- One message by its number; null when there is none.
CREATE FUNCTION public.post_audit_read_message(number bigint) RETURNS jsonb
LANGUAGE sql STABLE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC'
RETURN (SELECT post_audit.message_as_json(o) FROM post_audit.outbox AS o WHERE o.sequence = number);

CREATE FUNCTION post_audit.require_message(number bigint) RETURNS post_audit.outbox
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
DECLARE
  message post_audit.outbox;
BEGIN
  SELECT * INTO message FROM post_audit.outbox AS o WHERE o.sequence = number FOR UPDATE;
  IF message.id IS NULL THEN
    RAISE EXCEPTION 'There is no message %.', number USING ERRCODE = 'no_data_found', HINT = 'See the list: post-audit outbox list.';
  END IF;
  RETURN message;
END
$$;

-- Try a message again that was given up, refused or dropped, or that waits for its next try; refused where a newer version
-- of an n8n setting has entered the outbox since, because that one would be undone by it.
CREATE FUNCTION public.post_audit_apply_message_retry(number bigint, actor text) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
DECLARE
  message post_audit.outbox := post_audit.require_message(number);
  newer bigint := (SELECT max(n.version) FROM post_audit.outbox AS n
    WHERE message.channel LIKE 'n8n\_%' AND n.channel = message.channel AND n.subject = message.subject AND n.version > message.version);
BEGIN
  IF message.state NOT IN ('pending', 'sent', 'dead', 'refused', 'dropped') THEN
    RAISE EXCEPTION 'Message % is %, so there is nothing to try again.', number, message.state USING ERRCODE = 'PT409';
  END IF;
  IF newer IS NOT NULL THEN
    RAISE EXCEPTION 'Message % is version % of %, and version % has followed.', number, message.version, message.subject, newer
      USING ERRCODE = 'PT409', HINT = 'The newest one is the one to try: post-audit outbox list.';
  END IF;
  UPDATE post_audit.outbox AS o
  SET state = 'pending', attempts = 0, retried_at = clock_timestamp(), next_attempt_at = clock_timestamp(), settled_at = NULL,
    detail = format('asked for again by %s', actor)
  WHERE o.id = message.id RETURNING * INTO message;
  -- whoever asks by hand has looked at the receiver
  UPDATE post_audit.receivers AS r SET free_at = '-infinity'
  WHERE message.channel LIKE 'n8n\_%' AND r.receiver IN (
    SELECT s.receiver FROM post_audit.receivers AS s
    WHERE s.receiver = message.receiver AND s.busy_by IS NULL FOR UPDATE SKIP LOCKED);
  RETURN post_audit.message_as_json(message);
END
$$;

-- Never send a message that waits or was given up.
CREATE FUNCTION public.post_audit_apply_message_drop(number bigint, actor text) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
DECLARE
  message post_audit.outbox := post_audit.require_message(number);
BEGIN
  IF message.state NOT IN ('pending', 'sent', 'dead', 'refused') THEN
    RAISE EXCEPTION 'Message % is %, so there is nothing to drop.', number, message.state USING ERRCODE = 'PT409';
  END IF;
  UPDATE post_audit.outbox AS o
  SET state = 'dropped', settled_at = clock_timestamp(), detail = concat_ws(' ', o.detail, format('Dropped by %s.', actor))
  WHERE o.id = message.id RETURNING * INTO message;
  RETURN post_audit.message_as_json(message);
END
$$;

-- Delete messages that ended longer ago than `older_than_days`, at most `limit` a call. The newest of each subject stays, since
-- versions are compared with it; and whatever told people of a bug stays, since step bugs looks there for what was told. Its
-- decision keeps to whom it went and how it ended.
CREATE FUNCTION public.post_audit_apply_prune_messages(older_than_days integer DEFAULT 90, "limit" integer DEFAULT 5000) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
DECLARE
  pruned integer;
BEGIN
  -- steps look back on what they told: seven days at most
  IF older_than_days < 8 THEN
    RAISE EXCEPTION 'Messages are kept for at least 8 days, and % were asked for.', older_than_days
      USING ERRCODE = 'invalid_parameter_value', HINT = 'Steps look back on what people were told within a week.';
  END IF;
  WITH gone AS (
    DELETE FROM post_audit.outbox AS o WHERE o.id IN (
      SELECT p.id FROM post_audit.outbox AS p
      WHERE p.state NOT IN ('pending', 'sent') AND p.settled_at < clock_timestamp() - make_interval(days => older_than_days)
        AND p.subject NOT LIKE 'bug\_alert:%'
        AND EXISTS (SELECT 1 FROM post_audit.outbox AS n
          WHERE n.channel = p.channel AND n.subject = p.subject AND n.sequence > p.sequence)
      ORDER BY p.sequence LIMIT post_audit_apply_prune_messages."limit")
    RETURNING o.decision_id, o.channel || ':' || o.state AS ended
  ),
  remembered AS (
    UPDATE post_audit.decisions AS d SET messages_removed = d.messages_removed || k.ended
    FROM (
      SELECT y.decision_id, jsonb_object_agg(y.ended, y.number + coalesce((e.messages_removed ->> y.ended)::bigint, 0)) AS ended
      FROM (SELECT g.decision_id, g.ended, count(*) AS number FROM gone AS g GROUP BY g.decision_id, g.ended) AS y
      JOIN post_audit.decisions AS e ON e.id = y.decision_id GROUP BY y.decision_id
    ) AS k WHERE d.id = k.decision_id
  )
  SELECT count(*) INTO pruned FROM gone;
  RETURN jsonb_build_object('pruned', pruned);
END
$$;

-- What is done once a day, over all workers.
CREATE TABLE IF NOT EXISTS post_audit.upkeep (
  what text PRIMARY KEY,
  done_at timestamptz NOT NULL DEFAULT '-infinity'
);
INSERT INTO post_audit.upkeep (what) VALUES ('old messages') ON CONFLICT DO NOTHING;

-- Delete what post_audit_apply_prune_messages deletes, once a day, whoever asks and however often: `is_due` is false when it was
-- done within the day, or is being done by somebody else. One call deletes `limit` messages at most; the next ones go on until
-- nothing is left, and then the day begins.
CREATE FUNCTION public.post_audit_maintain_old_messages(keep_days integer DEFAULT 90, "limit" integer DEFAULT 5000) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
DECLARE
  pruned integer;
BEGIN
  PERFORM 1 FROM post_audit.upkeep AS u
  WHERE u.what = 'old messages' AND u.done_at <= clock_timestamp() - interval '1 day' FOR UPDATE SKIP LOCKED;
  IF NOT FOUND THEN
    RETURN jsonb_build_object('is_due', false, 'pruned', 0);
  END IF;
  pruned := public.post_audit_apply_prune_messages(keep_days, "limit") -> 'pruned';
  IF pruned < "limit" THEN
    UPDATE post_audit.upkeep AS u SET done_at = clock_timestamp() WHERE u.what = 'old messages';
  END IF;
  RETURN jsonb_build_object('is_due', true, 'pruned', pruned);
END
$$;
