-- Segments of words are merged by the host, a few pages after each transaction, and not many pages at once inside of one.
INSERT INTO words (words, rank) VALUES ('automerge', 0);
