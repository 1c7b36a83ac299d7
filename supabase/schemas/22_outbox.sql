-- The outbox: a message is claimed for a while, tried, and settled with what came of it.

-- Claim up to `batch` messages that are due, for `lease_seconds`: nobody else gets them meanwhile, and those that were not
-- settled are due again afterwards.
CREATE FUNCTION public.post_audit_apply_claim_messages(owner text, batch integer DEFAULT 20, lease_seconds integer DEFAULT 60)
RETURNS jsonb
LANGUAGE sql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC'
BEGIN ATOMIC
  WITH due AS (
    SELECT o.id FROM post_audit.outbox AS o
    WHERE o.state = 'pending' AND o.next_attempt_at <= clock_timestamp()
      AND (o.claimed_until IS NULL OR o.claimed_until <= clock_timestamp())
    ORDER BY o.next_attempt_at, o.sequence LIMIT batch FOR UPDATE SKIP LOCKED
  ), claimed AS (
    UPDATE post_audit.outbox AS o
    SET claimed_by = owner, claimed_until = clock_timestamp() + make_interval(secs => lease_seconds), attempts = o.attempts + 1
    FROM due WHERE o.id = due.id
    RETURNING o.*
  )
  SELECT coalesce(jsonb_agg(jsonb_build_object(
    'message_id', 'msg_' || replace(c.id::text, '-', ''), 'decision_id', c.decision_id, 'channel', c.channel,
    'subject', c.subject, 'version', c.version, 'payload', c.payload, 'attempt', c.attempts, 'created_at', c.created_at
  ) ORDER BY c.sequence), '[]') FROM claimed AS c;
END;

-- `state` pending means: try again at retry_at. Settling again as it was settled changes nothing: the answer got lost.
CREATE FUNCTION public.post_audit_apply_settle_message(
  message_id text, owner text, state text, detail text, retry_at timestamptz DEFAULT NULL
) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
BEGIN
  UPDATE post_audit.outbox AS o
  SET state = post_audit_apply_settle_message.state, detail = post_audit_apply_settle_message.detail,
    claimed_by = NULL, claimed_until = NULL,
    next_attempt_at = coalesce(retry_at, o.next_attempt_at),
    settled_at = CASE WHEN post_audit_apply_settle_message.state = 'pending' THEN NULL ELSE clock_timestamp() END
  WHERE o.id = replace(message_id, 'msg_', '')::uuid AND o.claimed_by = owner AND o.state = 'pending';
  IF NOT FOUND AND NOT EXISTS (
    SELECT 1 FROM post_audit.outbox AS o
    WHERE o.id = replace(message_id, 'msg_', '')::uuid AND o.claimed_by IS NULL
      AND o.state = post_audit_apply_settle_message.state AND o.detail IS NOT DISTINCT FROM post_audit_apply_settle_message.detail
      AND (retry_at IS NULL OR o.next_attempt_at = retry_at)
  ) THEN
    RAISE EXCEPTION 'Message % is no longer claimed by this worker.', message_id USING ERRCODE = 'PT409';
  END IF;
  RETURN jsonb_build_object('message_id', message_id, 'state', state);
END
$$;
