"""`python -m jobboard.seed` fills the database with rows that are the same every time."""

import argparse
import time

import psycopg

from jobboard.dsn import connection_parameters
from jobboard.settings import Settings

# Made by the server from the number of the row alone, so that a second run changes nothing.
STATEMENTS = """
INSERT INTO organisations (id, name)
SELECT n, 'Organisation ' || n FROM generate_series(1, %(organisations)s) n
ON CONFLICT DO NOTHING;

INSERT INTO users (id, name, email)
SELECT n, 'User ' || n, 'user' || n || '@example.org' FROM generate_series(1, %(users)s) n
ON CONFLICT DO NOTHING;

INSERT INTO jobs (id, organisation_id, title, description, district, region, status, featured, posted_at)
SELECT n,
       1 + n * 7919 %% %(organisations)s,
       (ARRAY['Junior', 'Senior', 'Lead', 'Deputy', 'Assistant'])[1 + n / 50 %% 5] || ' ' ||
       (ARRAY['accountant', 'architect', 'baker', 'biologist', 'bookbinder', 'bricklayer', 'butcher', 'carer',
              'carpenter', 'chemist', 'chef', 'cleaner', 'courier', 'decorator', 'dentist', 'designer',
              'dietician', 'driver', 'editor', 'electrician', 'engineer', 'farmer', 'florist', 'gardener',
              'geologist', 'glazier', 'goldsmith', 'hairdresser', 'instructor', 'joiner', 'lawyer', 'librarian',
              'locksmith', 'machinist', 'mechanic', 'midwife', 'nurse', 'optician', 'painter', 'pharmacist',
              'photographer', 'plumber', 'roofer', 'scaffolder', 'surveyor', 'tailor', 'teacher', 'translator',
              'vet', 'welder'])[1 + n %% 50] || ' ' || n,
       repeat('What the work is, where it is done, and what is asked for. ', 1 + n %% 8),
       'District ' || 1 + n * 31 %% 96,
       'Region ' || 1 + n * 31 %% 96 / 8,
       CASE WHEN n %% 20 < 14 THEN 'open' WHEN n %% 20 < 19 THEN 'closed' ELSE 'draft' END,
       n %% 11 = 0,
       timestamptz '2025-01-01 00:00+00' + n * interval '5 minutes'
FROM generate_series(1, %(jobs)s) n
ON CONFLICT DO NOTHING;

INSERT INTO applications (id, job_id, user_id, stage, rating, cover_letter, applied_at)
SELECT n,
       1 + n::bigint * 7919 %% %(jobs)s,
       1 + (n::bigint * 104729 + n / %(jobs)s) %% %(users)s,
       (ARRAY['applied', 'applied', 'applied', 'screening', 'interview', 'offer', 'hired', 'rejected'])[1 + n %% 8],
       CASE WHEN n %% 8 > 2 THEN 1 + n %% 5 END,
       repeat('Why I would like to do this work. ', 1 + n %% 4),
       timestamptz '2025-01-02 00:00+00' + n * interval '2 minutes'
FROM generate_series(1, %(applications)s) n
ON CONFLICT DO NOTHING;
"""
TABLES = ("organisations", "users", "jobs", "applications")


def seed(settings: Settings, rows: int) -> None:
    """Insert that many jobs and what goes with them, and bring the statistics up to date."""
    numbers = {
        "jobs": rows,
        "applications": 3 * rows,
        "organisations": max(1, rows // 100),
        "users": max(1, rows // 4),
    }
    with psycopg.connect(**connection_parameters(settings), autocommit=True) as connection:  # type: ignore[arg-type]
        with connection.transaction():
            for statement in STATEMENTS.split(";")[:-1]:
                connection.execute(statement, numbers)
            for table in TABLES:
                # The ids were given, so that the sequences haven't moved.
                connection.execute(
                    f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), max(id)) FROM {table}"
                )
        connection.execute(f"VACUUM (ANALYZE) {', '.join(TABLES)}")


def main() -> None:
    """Seed the database that DATABASE_URL names."""
    parser = argparse.ArgumentParser(prog="python -m jobboard.seed", description="Fill the database.")
    parser.add_argument("--rows", type=int, default=20_000, help="how many jobs")
    rows = parser.parse_args().rows
    started = time.perf_counter()
    seed(Settings.from_env(), rows)
    print(f"{rows} jobs in {time.perf_counter() - started:.1f} s")


if __name__ == "__main__":
    main()
