-- A part of a schema as Prisma makes it: quoted names, text keys, times without zone, rupees as floating point.
CREATE TYPE "ClaimState" AS ENUM ('UNCLAIMED', 'CLAIMED');
CREATE TABLE public."Supplier" (
  "id" text PRIMARY KEY, "companyName" text NOT NULL, "contactEmail" text, "claimState" "ClaimState" NOT NULL DEFAULT 'UNCLAIMED',
  "createdAt" timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP);
CREATE TABLE public."Earning" (
  "id" text PRIMARY KEY, "userId" text NOT NULL, "supplierId" text REFERENCES public."Supplier", "amountRupees" double precision NOT NULL,
  "trackedAt" timestamp(3) NOT NULL);
INSERT INTO public."Supplier" VALUES ('clx1', 'Shree Pumps', 'office@shreepumps.example', 'CLAIMED', '2025-10-31 18:30:00.123'),
  ('clx2', 'Kaveri Steel', NULL, DEFAULT, '2025-11-01 00:00');
INSERT INTO public."Earning" VALUES ('e1', 'u1', 'clx1', 1842500.1, '2025-11-01 06:00'), ('e2', 'u2', 'clx2', 0.29, '2025-11-01 06:00'),
  ('e3', 'u1', NULL, -250, '2025-11-02 06:00');
