ALTER TABLE users DROP age;
