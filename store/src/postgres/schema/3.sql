-- The mark of a move, as JSON: the database was moved to another one, or a move into it did not end. No host uses it then.
ALTER TABLE head ADD COLUMN move text COLLATE "C";
