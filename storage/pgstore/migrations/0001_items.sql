CREATE TABLE IF NOT EXISTS {{items}} (
	key        bytea NOT NULL PRIMARY KEY,
	value      bytea NOT NULL,
	expires_at bigint -- milliseconds since 1970; NULL is never
);

CREATE INDEX IF NOT EXISTS items_expires_at ON {{items}} (expires_at) WHERE expires_at IS NOT NULL;
