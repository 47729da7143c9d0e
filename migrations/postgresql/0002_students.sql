CREATE TABLE students (
    id bigint PRIMARY KEY CHECK (id > 0),
    name text NOT NULL,
    age smallint CHECK (age BETWEEN 0 AND 200),
    gender text
);
