ALTER TABLE users ADD age int; CREATE INDEX users_age ON users (age);
