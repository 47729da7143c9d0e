CREATE TABLE students (
    id INTEGER PRIMARY KEY CHECK (id > 0),
    name TEXT NOT NULL,
    age INTEGER CHECK (age BETWEEN 0 AND 200),
    gender TEXT
) STRICT;

-- Finds any three letters in a name without reading every row.
CREATE VIRTUAL TABLE students_search USING fts5 (
    name, content = 'students', content_rowid = 'id', tokenize = 'trigram'
);

CREATE TRIGGER students_inserted AFTER INSERT ON students BEGIN
    INSERT INTO students_search (rowid, name) VALUES (new.id, new.name);
END;

CREATE TRIGGER students_deleted AFTER DELETE ON students BEGIN
    INSERT INTO students_search (students_search, rowid, name) VALUES ('delete', old.id, old.name);
END;

CREATE TRIGGER students_updated AFTER UPDATE ON students BEGIN
    INSERT INTO students_search (students_search, rowid, name) VALUES ('delete', old.id, old.name);
    INSERT INTO students_search (rowid, name) VALUES (new.id, new.name);
END;
