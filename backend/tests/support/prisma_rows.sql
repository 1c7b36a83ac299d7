INSERT INTO public.scraped_companies (id, name, city, "gstNumber") VALUES
  ('clx1', 'Shree Pumps', 'Pune', '27AAPFU0939F1ZV'), ('clx2', 'Kaveri Steel', 'Erode', NULL);
INSERT INTO public.users (id) VALUES ('u1');
INSERT INTO public.company_claims (id, "scrapedCompanyId", "claimedBy", "verifiedAt", status)
VALUES ('k1', 'clx1', 'u1', CURRENT_TIMESTAMP, 'VERIFIED');
INSERT INTO public.benefits_tracking (id, "userId", "benefitType", value) VALUES ('b1', 'u1', 'credit', 5000.5);
