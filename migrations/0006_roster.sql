-- What the list of students says of the table as a whole, so that it need not count the rows.
CREATE TABLE roster (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    total INTEGER NOT NULL,
    -- Another number after each change of a student, and after a backup is put back as well.
    revision INTEGER NOT NULL
) STRICT;

INSERT INTO roster SELECT 1, count(*), random() FROM students;

CREATE TRIGGER roster_inserted AFTER INSERT ON students BEGIN
    UPDATE roster SET total = total + 1, revision = random();
END;

CREATE TRIGGER roster_deleted AFTER DELETE ON students BEGIN
    UPDATE roster SET total = total - 1, revision = random();
END;

CREATE TRIGGER roster_updated AFTER UPDATE ON students BEGIN
    UPDATE roster SET revision = random();
END;
