-- Two people in a table of an application, for SQLite and PostgreSQL. The passwords are wonderland-2026 and builder-of-walls-2026, as
-- "gatehouse hash-password --algorithm bcrypt --bcrypt-cost 10" hashes them.
CREATE TABLE users (id INTEGER PRIMARY KEY, login TEXT UNIQUE, password TEXT, name TEXT, email TEXT, role TEXT, active BOOLEAN);
INSERT INTO users VALUES
	(1, 'alice', '$2a$10$bGywAMYh1ZcAaJskkQdC.e0602BsiYH8iXnGhG/3/6AU5HBmyNvxC', 'Alice Liddell', 'alice@example.com', 'admin', true),
	(2, 'bob', '$2a$10$LtE.b81M3Zi4/krOay3XdeBdH.q1i23YcQtSJb0S2QF3buMP8AeyW', 'Bob Builder', 'bob@example.com', 'user', true);
