-- Takes the rows of our reference tables into the tables as Prisma keeps them.
INSERT INTO public.scraped_companies
SELECT s.id::text, s.name, s.email, s.phone, s.website, s.city, s.state, s.category, s.gstin, upper(s.claim_status),
  s.claimed_at AT TIME ZONE 'UTC', s.created_at AT TIME ZONE 'UTC'
FROM public.suppliers AS s;
INSERT INTO public.company_claims
SELECT c.id::text, c.supplier_id::text, c.claimed_by, c.verified_at IS NOT NULL, c.verified_at AT TIME ZONE 'UTC', upper(c.status),
  c.claimed_at AT TIME ZONE 'UTC'
FROM public.claim_airdrop_log AS c;
INSERT INTO public.users (id) SELECT DISTINCT e.user_id FROM post_audit.earnings_ledger AS e;
INSERT INTO public.benefits_tracking
SELECT e.id::text, e.user_id, e.benefit_type, e.amount_paise / 100.0, e.tracked_at AT TIME ZONE 'UTC'
FROM post_audit.earnings_ledger AS e;
ANALYZE public.scraped_companies, public.company_claims, public.users, public.benefits_tracking;

-- As `post-audit bind --guess --accept` does.
SELECT public.post_audit_apply_binding(g.guess ->> 'role', g.guess ->> 'relation', g.guess -> 'columns', 'a test')
FROM jsonb_array_elements(public.post_audit_read_binding_guesses()) AS g (guess)
WHERE (g.guess ->> 'best')::boolean ORDER BY g.guess ->> 'role' DESC;

-- What tests write under the names that they know arrives in those tables; ids are the same numbers, as text.
CREATE SEQUENCE public.next_id;
SELECT setval('public.next_id', greatest(
  (SELECT coalesce(max(s.id), 0) FROM public.suppliers AS s), (SELECT coalesce(max(c.id), 0) FROM public.claim_airdrop_log AS c),
  (SELECT coalesce(max(e.id), 0) FROM post_audit.earnings_ledger AS e)) + 1, false);
DROP TABLE public.suppliers, public.claim_airdrop_log, post_audit.earnings_ledger;

CREATE VIEW public.suppliers AS
SELECT s.id::bigint AS id, s.name, s.email, s.phone, s.website, s.city, s.state, s.category, s."gstNumber" AS gstin,
  lower(s."claimStatus") AS claim_status, NULL::text AS claimed_by, s."claimedAt" AT TIME ZONE 'UTC' AS claimed_at,
  s."createdAt" AT TIME ZONE 'UTC' AS created_at
FROM public.scraped_companies AS s;
CREATE VIEW public.claim_airdrop_log AS
SELECT c.id::bigint AS id, c."scrapedCompanyId"::bigint AS supplier_id, c."claimedBy" AS claimed_by, lower(c.status) AS status,
  NULL::bigint AS amount_paise, c."claimedAt" AT TIME ZONE 'UTC' AS claimed_at, c."verifiedAt" AT TIME ZONE 'UTC' AS verified_at
FROM public.company_claims AS c;
CREATE VIEW post_audit.earnings_ledger AS
SELECT b.id::bigint AS id, b."userId" AS user_id, NULL::bigint AS supplier_id, b."benefitType" AS benefit_type,
  round(b.value::numeric * 100)::bigint AS amount_paise, b."trackedAt" AT TIME ZONE 'UTC' AS tracked_at
FROM public.benefits_tracking AS b;

CREATE FUNCTION public.write_supplier() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP <> 'INSERT' THEN
    DELETE FROM public.scraped_companies WHERE id = OLD.id::text AND TG_OP = 'DELETE';
    UPDATE public.scraped_companies SET name = NEW.name, email = NEW.email, phone = NEW.phone, website = NEW.website, city = NEW.city,
      state = NEW.state, category = NEW.category, "gstNumber" = NEW.gstin, "claimStatus" = upper(NEW.claim_status),
      "claimedAt" = NEW.claimed_at AT TIME ZONE 'UTC', "createdAt" = NEW.created_at AT TIME ZONE 'UTC'
    WHERE id = OLD.id::text AND TG_OP = 'UPDATE';
    RETURN coalesce(NEW, OLD);
  END IF;
  NEW.id := coalesce(NEW.id, nextval('public.next_id'));
  INSERT INTO public.scraped_companies VALUES (NEW.id::text, NEW.name, NEW.email, NEW.phone, NEW.website, NEW.city, NEW.state,
    NEW.category, NEW.gstin, upper(coalesce(NEW.claim_status, 'unclaimed')), NEW.claimed_at AT TIME ZONE 'UTC',
    coalesce(NEW.created_at, now()) AT TIME ZONE 'UTC');
  RETURN NEW;
END
$$;
CREATE FUNCTION public.write_claim() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP <> 'INSERT' THEN
    DELETE FROM public.company_claims WHERE id = OLD.id::text AND TG_OP = 'DELETE';
    UPDATE public.company_claims SET "scrapedCompanyId" = NEW.supplier_id::text, "claimedBy" = NEW.claimed_by,
      status = upper(NEW.status), "claimedAt" = NEW.claimed_at AT TIME ZONE 'UTC', "verifiedAt" = NEW.verified_at AT TIME ZONE 'UTC'
    WHERE id = OLD.id::text AND TG_OP = 'UPDATE';
    RETURN coalesce(NEW, OLD);
  END IF;
  NEW.id := coalesce(NEW.id, nextval('public.next_id'));
  INSERT INTO public.company_claims VALUES (NEW.id::text, NEW.supplier_id::text, NEW.claimed_by, NEW.verified_at IS NOT NULL,
    NEW.verified_at AT TIME ZONE 'UTC', upper(coalesce(NEW.status, 'pending')), coalesce(NEW.claimed_at, now()) AT TIME ZONE 'UTC');
  RETURN NEW;
END
$$;
CREATE FUNCTION public.write_earning() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP <> 'INSERT' THEN
    DELETE FROM public.benefits_tracking WHERE id = OLD.id::text AND TG_OP = 'DELETE';
    UPDATE public.benefits_tracking SET "userId" = NEW.user_id, "benefitType" = NEW.benefit_type, value = NEW.amount_paise / 100.0,
      "trackedAt" = NEW.tracked_at AT TIME ZONE 'UTC'
    WHERE id = OLD.id::text AND TG_OP = 'UPDATE';
    RETURN coalesce(NEW, OLD);
  END IF;
  NEW.id := coalesce(NEW.id, nextval('public.next_id'));
  INSERT INTO public.users (id) VALUES (NEW.user_id) ON CONFLICT DO NOTHING;
  INSERT INTO public.benefits_tracking VALUES (NEW.id::text, NEW.user_id, NEW.benefit_type, NEW.amount_paise / 100.0,
    coalesce(NEW.tracked_at, now()) AT TIME ZONE 'UTC');
  RETURN NEW;
END
$$;
CREATE TRIGGER writes INSTEAD OF INSERT OR UPDATE OR DELETE ON public.suppliers
  FOR EACH ROW EXECUTE FUNCTION public.write_supplier();
CREATE TRIGGER writes INSTEAD OF INSERT OR UPDATE OR DELETE ON public.claim_airdrop_log
  FOR EACH ROW EXECUTE FUNCTION public.write_claim();
CREATE TRIGGER writes INSTEAD OF INSERT OR UPDATE OR DELETE ON post_audit.earnings_ledger
  FOR EACH ROW EXECUTE FUNCTION public.write_earning();
