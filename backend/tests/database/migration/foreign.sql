-- A marketplace that has had tables of its own under three of the fixed names for years, with all that hangs on them.
CREATE TYPE public.rating AS ENUM ('poor', 'fair', 'good');

CREATE TABLE public.suppliers (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  company_name varchar(200) NOT NULL CHECK (company_name <> ''),
  owner_mail text COLLATE "C",
  contact jsonb NOT NULL DEFAULT '{{}}',
  score public.rating,
  turnover double precision,
  parent uuid REFERENCES public.suppliers (id),
  created_at timestamp NOT NULL DEFAULT now()
);
COMMENT ON TABLE public.suppliers IS 'Firms, as the old system knew them';
COMMENT ON COLUMN public.suppliers.score IS 'set by the field team';
CREATE INDEX suppliers_by_mail ON public.suppliers (lower(owner_mail)) WHERE owner_mail IS NOT NULL;
CREATE STATISTICS public.suppliers_together ON company_name, owner_mail FROM public.suppliers;
ALTER TABLE public.suppliers ALTER COLUMN company_name SET STATISTICS 500;
ALTER TABLE public.suppliers ENABLE ROW LEVEL SECURITY;
CREATE POLICY good_ones ON public.suppliers FOR SELECT TO {reader} USING (score = 'good');
GRANT SELECT (id, company_name, score) ON public.suppliers TO {reader};

-- no comment, no row level security: the weakest protection that a table can have
CREATE TABLE public.bugs (
  ticket serial PRIMARY KEY,
  firm uuid REFERENCES public.suppliers (id) ON DELETE SET NULL,
  body text,
  severity integer NOT NULL DEFAULT 3
);
CREATE INDEX bugs_fingerprint_old ON public.bugs (severity DESC);
GRANT ALL ON public.bugs TO {reader};

CREATE TABLE public.invites_sent (
  number bigint GENERATED ALWAYS AS IDENTITY,
  firm uuid NOT NULL REFERENCES public.suppliers (id),
  month date NOT NULL,
  body text,
  PRIMARY KEY (month, number)
) PARTITION BY RANGE (month);
CREATE TABLE public.invites_sent_2025 PARTITION OF public.invites_sent FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
ALTER TABLE public.invites_sent ENABLE ROW LEVEL SECURITY;
CREATE POLICY all_of_them ON public.invites_sent FOR SELECT TO {reader} USING (true);
GRANT SELECT ON public.invites_sent TO {reader};

CREATE TABLE public.orders (id bigint PRIMARY KEY, firm uuid NOT NULL REFERENCES public.suppliers (id) ON DELETE RESTRICT);
CREATE VIEW public.good_firms AS SELECT s.id, s.company_name FROM public.suppliers AS s WHERE s.score = 'good';
GRANT SELECT ON public.good_firms TO {reader};
CREATE MATERIALIZED VIEW public.firm_count AS SELECT count(*) AS firms FROM public.suppliers;

CREATE FUNCTION public.stamp() RETURNS trigger LANGUAGE plpgsql AS
  $$BEGIN NEW.contact := NEW.contact || jsonb_build_object('seen', true); RETURN NEW; END$$;
CREATE TRIGGER stamp_contact BEFORE INSERT OR UPDATE ON public.suppliers FOR EACH ROW EXECUTE FUNCTION public.stamp();
CREATE TRIGGER stays_off AFTER DELETE ON public.bugs FOR EACH STATEMENT EXECUTE FUNCTION public.stamp();
ALTER TABLE public.bugs DISABLE TRIGGER stays_off;
CREATE RULE no_removal AS ON DELETE TO public.orders DO INSTEAD NOTHING;
CREATE FUNCTION public.post_audit_trail(firm uuid) RETURNS bigint LANGUAGE sql AS 'SELECT 1::bigint';
CREATE PUBLICATION firms FOR TABLE public.suppliers, public.bugs;
CREATE SCHEMA accounts;
CREATE TABLE accounts.ledger (id bigint PRIMARY KEY, paise bigint);
ALTER DEFAULT PRIVILEGES IN SCHEMA accounts GRANT SELECT ON TABLES TO {reader};
GRANT USAGE ON SCHEMA public TO {reader};

INSERT INTO public.suppliers (id, company_name, owner_mail, score, turnover, created_at) VALUES
  ('00000000-0000-0000-0000-000000000001', 'Shree Pumps', 'office@shreepumps.example', 'good', 1842500.1, '2024-03-01 10:00'),
  ('00000000-0000-0000-0000-000000000002', 'Kaveri Steel', NULL, 'poor', NULL, '2024-05-02 18:30');
UPDATE public.suppliers SET parent = '00000000-0000-0000-0000-000000000001' WHERE company_name = 'Kaveri Steel';
INSERT INTO public.bugs (firm, body) VALUES ('00000000-0000-0000-0000-000000000001', 'The map is upside down'), (NULL, 'Slow');
INSERT INTO public.invites_sent (firm, month, body) VALUES ('00000000-0000-0000-0000-000000000002', '2025-06-01', 'Come back');
INSERT INTO public.orders VALUES (1, '00000000-0000-0000-0000-000000000001');
