-- A marketplace as Prisma keeps it: quoted camelCase, text ids, times without zone, rupees as floating point.
CREATE TABLE public.scraped_companies (
  id text PRIMARY KEY, name text NOT NULL, email text, phone text, website text, city text, state text, category text,
  "gstNumber" text, "claimStatus" text NOT NULL DEFAULT 'UNCLAIMED', "claimedAt" timestamp(3),
  "createdAt" timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP);
CREATE TABLE public.company_claims (
  id text PRIMARY KEY, "scrapedCompanyId" text NOT NULL REFERENCES public.scraped_companies, "claimedBy" text,
  "isPhoneVerified" boolean NOT NULL DEFAULT false, "verifiedAt" timestamp(3), status text NOT NULL DEFAULT 'PENDING',
  "claimedAt" timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP);
CREATE INDEX "company_claims_scrapedCompanyId_idx" ON public.company_claims ("scrapedCompanyId");
CREATE TABLE public.users (
  id text PRIMARY KEY, email text, phone text, "createdAt" timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP);
CREATE TABLE public.benefits_tracking (
  id text PRIMARY KEY, "userId" text NOT NULL REFERENCES public.users, "benefitType" text NOT NULL,
  value double precision NOT NULL, "trackedAt" timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP);
CREATE INDEX "benefits_tracking_userId_idx" ON public.benefits_tracking ("userId");
