-- Who may sign in, what with, and who did what. Passwords are kept as argon2 hashes, tokens as SHA-256 of 256 random bits.

CREATE TABLE IF NOT EXISTS post_audit.users (
  name text PRIMARY KEY CHECK (name ~ '^[a-z0-9][a-z0-9._@+-]{0,63}$'),
  role text NOT NULL CHECK (role IN ('viewer', 'operator', 'approver')),
  password_hash text NOT NULL CHECK (password_hash LIKE '$argon2id$%'),
  created_by text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  password_changed_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE TABLE IF NOT EXISTS post_audit.sessions (
  token_hash text PRIMARY KEY,
  user_name text NOT NULL REFERENCES post_audit.users (name) ON DELETE CASCADE,
  peer text NOT NULL,
  began_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  expires_at timestamptz NOT NULL
);
CREATE INDEX IF NOT EXISTS sessions_user ON post_audit.sessions (user_name);
CREATE INDEX IF NOT EXISTS sessions_expiry ON post_audit.sessions (expires_at);

CREATE TABLE IF NOT EXISTS post_audit.api_tokens (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  token_hash text NOT NULL UNIQUE,
  user_name text NOT NULL REFERENCES post_audit.users (name) ON DELETE CASCADE,
  label text NOT NULL,
  role text NOT NULL CHECK (role IN ('viewer', 'operator', 'approver')),
  created_by text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  expires_at timestamptz NOT NULL,
  revoked_at timestamptz
);
CREATE INDEX IF NOT EXISTS api_tokens_user ON post_audit.api_tokens (user_name);

CREATE TABLE IF NOT EXISTS post_audit.login_attempts (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name text NOT NULL,
  peer text NOT NULL,
  at timestamptz NOT NULL DEFAULT clock_timestamp(),
  succeeded boolean NOT NULL DEFAULT false
);
CREATE INDEX IF NOT EXISTS login_attempts_name ON post_audit.login_attempts (name, at) WHERE NOT succeeded;
CREATE INDEX IF NOT EXISTS login_attempts_peer ON post_audit.login_attempts (peer, at) WHERE NOT succeeded;
CREATE INDEX IF NOT EXISTS login_attempts_at ON post_audit.login_attempts (at);

CREATE TABLE IF NOT EXISTS post_audit.audit_log (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  at timestamptz NOT NULL DEFAULT clock_timestamp(),
  actor text NOT NULL,
  -- session, link, token, loopback, or command
  way text NOT NULL,
  peer text NOT NULL,
  action text NOT NULL,
  subject text NOT NULL
);

-- Roles in the order in which each may do what the one before it may.
CREATE FUNCTION post_audit.role_rank(role text) RETURNS integer
LANGUAGE sql STABLE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC'
RETURN array_position(ARRAY['viewer', 'operator', 'approver'], role);

CREATE FUNCTION post_audit.require_user(name text) RETURNS post_audit.users
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
DECLARE
  found_user post_audit.users;
BEGIN
  SELECT * INTO found_user FROM post_audit.users AS u WHERE u.name = require_user.name FOR UPDATE;
  IF found_user.name IS NULL THEN
    RAISE EXCEPTION 'There is no user %.', name USING ERRCODE = 'no_data_found', HINT = 'See the list: post-audit users list.';
  END IF;
  RETURN found_user;
END
$$;

-- Write down who did what, from where and how they showed who they are. Texts that are too long are cut.
CREATE FUNCTION public.post_audit_apply_audit_entry(
  actor text, way text, peer text, action text, subject text DEFAULT ''
) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
DECLARE
  entry bigint;
BEGIN
  INSERT INTO post_audit.audit_log (actor, way, peer, action, subject)
  VALUES (left(actor, 100), way, left(peer, 100), left(action, 200), left(subject, 500))
  RETURNING id INTO entry;
  RETURN jsonb_build_object('id', entry);
END
$$;

-- Who did what, newest first. `before` is the last id of the page before.
CREATE FUNCTION public.post_audit_read_audit_log(before bigint DEFAULT NULL, "limit" integer DEFAULT 100) RETURNS jsonb
LANGUAGE sql STABLE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC'
BEGIN ATOMIC
  SELECT coalesce(jsonb_agg(to_jsonb(page) ORDER BY page.id DESC), '[]')
  FROM (
    SELECT a.* FROM post_audit.audit_log AS a
    WHERE post_audit_read_audit_log.before IS NULL OR a.id < post_audit_read_audit_log.before
    ORDER BY a.id DESC LIMIT post_audit_read_audit_log."limit"
  ) AS page;
END;

-- Add a user. Refused when there is one of that name: a password or a role is changed by its own function.
CREATE FUNCTION public.post_audit_apply_user(name text, role text, password_hash text, actor text) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
BEGIN
  IF name !~ '^[a-z0-9][a-z0-9._@+-]{0,63}$' THEN
    RAISE EXCEPTION '% cannot be a user''s name.', name USING ERRCODE = 'invalid_parameter_value',
      HINT = 'At most 64 small letters, digits and the signs . _ @ + -, beginning with a letter or a digit.';
  END IF;
  INSERT INTO post_audit.users (name, role, password_hash, created_by) VALUES (name, role, password_hash, actor)
  ON CONFLICT ON CONSTRAINT users_pkey DO NOTHING;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'There is a user % already.', name
      USING ERRCODE = 'invalid_parameter_value', HINT = format('To set another password call post-audit users password %s.', name);
  END IF;
  PERFORM public.post_audit_apply_audit_entry(actor, 'command', '', 'user.added', format('%s as %s', name, role));
  RETURN jsonb_build_object('name', name, 'role', role);
END
$$;

-- Set a user's password, and end the sessions that the old one opened. With `rehash` it is the same password, hashed
-- anew: sessions stay, and nothing is done when the hash has changed meanwhile.
CREATE FUNCTION public.post_audit_apply_user_password(
  name text, password_hash text, actor text, rehash text DEFAULT NULL
) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
DECLARE
  known post_audit.users := post_audit.require_user(name);
  ended integer := 0;
BEGIN
  IF rehash IS NOT NULL AND known.password_hash <> rehash THEN
    RETURN jsonb_build_object('name', name, 'ended_sessions', 0);
  END IF;
  UPDATE post_audit.users AS u
  SET password_hash = post_audit_apply_user_password.password_hash,
    password_changed_at = CASE WHEN rehash IS NULL THEN clock_timestamp() ELSE u.password_changed_at END
  WHERE u.name = known.name;
  IF rehash IS NULL THEN
    DELETE FROM post_audit.sessions AS s WHERE s.user_name = known.name;
    GET DIAGNOSTICS ended = ROW_COUNT;
    DELETE FROM post_audit.login_attempts AS l WHERE l.name = known.name AND NOT l.succeeded;
    PERFORM public.post_audit_apply_audit_entry(actor, 'command', '', 'user.password_changed', name);
  END IF;
  RETURN jsonb_build_object('name', name, 'ended_sessions', ended);
END
$$;

-- Give a user another role; it holds at once, also in open sessions.
CREATE FUNCTION public.post_audit_apply_user_role(name text, role text, actor text) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
DECLARE
  known post_audit.users := post_audit.require_user(name);
BEGIN
  UPDATE post_audit.users AS u SET role = post_audit_apply_user_role.role WHERE u.name = known.name;
  PERFORM public.post_audit_apply_audit_entry(
    actor, 'command', '', 'user.role_changed', format('%s from %s to %s', name, known.role, role));
  RETURN jsonb_build_object('name', name, 'role', role);
END
$$;

-- Remove a user with sessions and tokens. What they did stays in the audit log and in decisions.
CREATE FUNCTION public.post_audit_apply_user_removal(name text, actor text) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
DECLARE
  known post_audit.users := post_audit.require_user(name);
BEGIN
  DELETE FROM post_audit.users AS u WHERE u.name = known.name;
  PERFORM public.post_audit_apply_audit_entry(actor, 'command', '', 'user.removed', name);
  RETURN jsonb_build_object('name', name, 'removed', true);
END
$$;

-- All users, with how many sessions and tokens of theirs hold now; never a hash.
CREATE FUNCTION public.post_audit_read_users() RETURNS jsonb
LANGUAGE sql STABLE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC'
BEGIN ATOMIC
  SELECT coalesce(jsonb_agg(jsonb_build_object(
    'name', u.name, 'role', u.role, 'created_by', u.created_by, 'created_at', u.created_at,
    'password_changed_at', u.password_changed_at,
    'sessions', (SELECT count(*) FROM post_audit.sessions AS s
      WHERE s.user_name = u.name AND s.expires_at > statement_timestamp()),
    'tokens', (SELECT count(*) FROM post_audit.api_tokens AS t
      WHERE t.user_name = u.name AND t.revoked_at IS NULL AND t.expires_at > statement_timestamp())
  ) ORDER BY u.name), '[]') FROM post_audit.users AS u;
END;

-- Ask to try a password. The try is counted before the password is looked at, so that many at once cannot slip through;
-- a login that succeeds takes its own try out again. `allowed` is false when `per_name` tries for this name or `per_peer` from
-- this peer have failed within the window; then `retry_after_seconds` says how long to wait. `password_hash` is null for a name
-- that nobody has.
CREATE FUNCTION public.post_audit_apply_login_attempt(
  name text, peer text, per_name integer, per_peer integer, window_seconds integer
) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
DECLARE
  tried text := left(name, 100);
  since timestamptz;
  of_name timestamptz;
  of_peer timestamptz;
  attempt bigint;
BEGIN
  -- one at a time, else two would count each other out; it takes a millisecond, and nobody signs in often
  PERFORM pg_advisory_xact_lock(hashtextextended('post_audit.login', 0));
  since := clock_timestamp() - make_interval(secs => window_seconds);
  DELETE FROM post_audit.login_attempts AS l WHERE l.id IN (
    SELECT o.id FROM post_audit.login_attempts AS o WHERE o.at < since - interval '1 day' LIMIT 1000);
  DELETE FROM post_audit.sessions AS s WHERE s.token_hash IN (
    SELECT o.token_hash FROM post_audit.sessions AS o WHERE o.expires_at < clock_timestamp() LIMIT 1000);
  -- the try that has to fall out of the window before the next one is allowed
  SELECT l.at INTO of_name FROM post_audit.login_attempts AS l
  WHERE l.name = tried AND NOT l.succeeded AND l.at > since ORDER BY l.at DESC OFFSET per_name - 1 LIMIT 1;
  SELECT l.at INTO of_peer FROM post_audit.login_attempts AS l
  WHERE l.peer = post_audit_apply_login_attempt.peer AND NOT l.succeeded AND l.at > since
  ORDER BY l.at DESC OFFSET per_peer - 1 LIMIT 1;
  IF of_name IS NOT NULL OR of_peer IS NOT NULL THEN
    RETURN jsonb_build_object('allowed', false, 'retry_after_seconds',
      ceil(extract(epoch FROM greatest(of_name, of_peer) - since))::integer);
  END IF;
  INSERT INTO post_audit.login_attempts (name, peer) VALUES (tried, left(peer, 100)) RETURNING id INTO attempt;
  RETURN jsonb_build_object('allowed', true, 'attempt', attempt,
    'password_hash', (SELECT u.password_hash FROM post_audit.users AS u WHERE u.name = post_audit_apply_login_attempt.name));
END
$$;

-- Begin a session of a user who has shown the password in this attempt.
CREATE FUNCTION public.post_audit_apply_session(
  name text, token_hash text, peer text, seconds integer, attempt bigint
) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
DECLARE
  known post_audit.users := post_audit.require_user(name);
BEGIN
  UPDATE post_audit.login_attempts AS l SET succeeded = true
  WHERE l.id = attempt AND l.name = known.name AND NOT l.succeeded;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'This attempt to sign in has been used.' USING ERRCODE = 'PT409', HINT = 'Sign in again.';
  END IF;
  INSERT INTO post_audit.sessions (token_hash, user_name, peer, expires_at)
  VALUES (token_hash, known.name, left(peer, 100), clock_timestamp() + make_interval(secs => seconds));
  PERFORM public.post_audit_apply_audit_entry(known.name, 'session', peer, 'login', '');
  RETURN jsonb_build_object('name', known.name, 'role', known.role);
END
$$;

-- End a session; ending one that is not there is no error.
CREATE FUNCTION public.post_audit_apply_session_end(token_hash text, peer text DEFAULT '') RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
DECLARE
  whose text;
BEGIN
  DELETE FROM post_audit.sessions AS s WHERE s.token_hash = post_audit_apply_session_end.token_hash
  RETURNING s.user_name INTO whose;
  IF whose IS NOT NULL THEN
    PERFORM public.post_audit_apply_audit_entry(whose, 'session', peer, 'logout', '');
  END IF;
  RETURN jsonb_build_object('ended', whose IS NOT NULL);
END
$$;

-- Who is behind a session (`way` session) or an API token (`token`) now; null when it is unknown, has expired or was ended.
-- A token acts with the smaller of its own role and its user's.
CREATE FUNCTION public.post_audit_read_visitor(way text, token_hash text) RETURNS jsonb
LANGUAGE sql STABLE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC'
RETURN CASE way
  WHEN 'session' THEN (
    SELECT jsonb_build_object('name', u.name, 'role', u.role)
    FROM post_audit.sessions AS s JOIN post_audit.users AS u ON u.name = s.user_name
    WHERE s.token_hash = post_audit_read_visitor.token_hash AND s.expires_at > statement_timestamp())
  WHEN 'token' THEN (
    SELECT jsonb_build_object('name', u.name, 'role',
      CASE WHEN post_audit.role_rank(t.role) < post_audit.role_rank(u.role) THEN t.role ELSE u.role END)
    FROM post_audit.api_tokens AS t JOIN post_audit.users AS u ON u.name = t.user_name
    WHERE t.token_hash = post_audit_read_visitor.token_hash AND t.revoked_at IS NULL AND t.expires_at > statement_timestamp())
  END;

-- Make an API token of a user, for a program; it holds for `days`.
CREATE FUNCTION public.post_audit_apply_token(
  name text, label text, role text, token_hash text, days integer, actor text
) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
DECLARE
  known post_audit.users := post_audit.require_user(name);
  made post_audit.api_tokens;
BEGIN
  IF post_audit.role_rank(role) > post_audit.role_rank(known.role) THEN
    RAISE EXCEPTION '% is a %, so a token of theirs cannot be %.', name, known.role, role
      USING ERRCODE = 'invalid_parameter_value', HINT = 'A token has at most the role of its user.';
  END IF;
  INSERT INTO post_audit.api_tokens (token_hash, user_name, label, role, created_by, expires_at)
  VALUES (token_hash, known.name, left(label, 100), role, actor, clock_timestamp() + make_interval(days => days))
  RETURNING * INTO made;
  PERFORM public.post_audit_apply_audit_entry(
    actor, 'command', '', 'token.made', format('%s of %s as %s: %s', made.id, name, role, made.label));
  RETURN jsonb_build_object('id', made.id, 'name', made.user_name, 'label', made.label, 'role', made.role,
    'expires_at', made.expires_at);
END
$$;

-- Revoke an API token; its program is refused from then on.
CREATE FUNCTION public.post_audit_apply_token_revocation(token_id bigint, actor text) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC' AS $$
DECLARE
  made post_audit.api_tokens;
BEGIN
  UPDATE post_audit.api_tokens AS t SET revoked_at = coalesce(t.revoked_at, clock_timestamp())
  WHERE t.id = token_id RETURNING * INTO made;
  IF made.id IS NULL THEN
    RAISE EXCEPTION 'There is no token %.', token_id USING ERRCODE = 'no_data_found', HINT = 'See the list: post-audit tokens list.';
  END IF;
  PERFORM public.post_audit_apply_audit_entry(
    actor, 'command', '', 'token.revoked', format('%s of %s: %s', made.id, made.user_name, made.label));
  RETURN jsonb_build_object('id', made.id, 'name', made.user_name, 'label', made.label, 'revoked_at', made.revoked_at);
END
$$;

-- All API tokens, newest first; never a hash.
CREATE FUNCTION public.post_audit_read_tokens() RETURNS jsonb
LANGUAGE sql STABLE SECURITY INVOKER SET search_path = '' SET "TimeZone" = 'UTC'
BEGIN ATOMIC
  SELECT coalesce(jsonb_agg(jsonb_build_object(
    'id', t.id, 'name', t.user_name, 'label', t.label, 'role', t.role, 'created_by', t.created_by, 'created_at', t.created_at,
    'expires_at', t.expires_at, 'revoked_at', t.revoked_at
  ) ORDER BY t.id DESC), '[]') FROM post_audit.api_tokens AS t;
END;
