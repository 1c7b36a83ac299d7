-- A marketplace as Prisma keeps it: quoted camelCase, text ids, times without zone, rupees as floating point.
CREATE TABLE public.scraped_companies (
  id text PRIMARY KEY, name text NOT NULL, email text, phone text, website text, city text, state text, category text,
  "gstNumber" text, "claimStatus" text NOT NULL DEFAULT 'UNCLAIMED', "claimedAt" timestamp(3),
  "createdAt" timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP);
CREATE TABLE public.company_claims (
  id text PRIMARY KEY, "scrapedCompanyId" text NOT NULL REFERENCES public.scraped_companies, "claimedBy" text,
  "isPhoneVerified" boolean NOT NULL DEFAULT false, "verifiedAt" timestamp(3), status text NOT NULL DEFAULT 'PENDING',
  "claimedAt" timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP);
CREATE TABLE public.users (
  id text PRIMARY KEY, email text, phone text, "createdAt" timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP);
CREATE TABLE public.benefits_tracking (
  id text PRIMARY KEY, "userId" text NOT NULL REFERENCES public.users, "benefitType" text NOT NULL,
  value double precision NOT NULL, "trackedAt" timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP);
INSERT INTO public.scraped_companies (id, name, city, "gstNumber") VALUES
  ('clx1', 'Shree Pumps', 'Pune', '27AAPFU0939F1ZV'), ('clx2', 'Kaveri Steel', 'Erode', NULL);
INSERT INTO public.users (id) VALUES ('u1');
INSERT INTO public.company_claims (id, "scrapedCompanyId", "claimedBy", "verifiedAt", status)
VALUES ('k1', 'clx1', 'u1', CURRENT_TIMESTAMP, 'VERIFIED');
INSERT INTO public.benefits_tracking (id, "userId", "benefitType", value) VALUES ('b1', 'u1', 'credit', 5000.5);
