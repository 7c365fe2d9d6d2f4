-- A database of version 1 with one chat in it.
CREATE TABLE folders(
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL);
CREATE TABLE chats(
  id INTEGER PRIMARY KEY,
  title TEXT NOT NULL,
  folder_id INTEGER REFERENCES folders(id) ON DELETE SET NULL,
  pinned INTEGER NOT NULL DEFAULT 0,
  created_ms INTEGER NOT NULL,
  updated_ms INTEGER NOT NULL,
  model TEXT NOT NULL DEFAULT '',
  system_prompt TEXT NOT NULL DEFAULT '',
  parameters_json TEXT NOT NULL DEFAULT '',
  leaf_id INTEGER REFERENCES messages(id) ON DELETE SET NULL DEFERRABLE INITIALLY DEFERRED,
  deleted INTEGER NOT NULL DEFAULT 0);
CREATE INDEX chats_by_time ON chats(deleted, updated_ms);
CREATE INDEX chats_by_folder ON chats(folder_id);
CREATE TABLE messages(
  id INTEGER PRIMARY KEY,
  chat_id INTEGER NOT NULL REFERENCES chats(id) ON DELETE CASCADE,
  parent_id INTEGER REFERENCES messages(id) ON DELETE CASCADE,
  role INTEGER NOT NULL,
  content TEXT NOT NULL,
  state INTEGER NOT NULL,
  created_ms INTEGER NOT NULL,
  model TEXT NOT NULL DEFAULT '',
  stats_json TEXT NOT NULL DEFAULT '',
  attachments_json TEXT NOT NULL DEFAULT '',
  deleted_by INTEGER);
CREATE INDEX messages_by_parent ON messages(parent_id);
CREATE INDEX messages_by_chat ON messages(chat_id, parent_id);
CREATE INDEX messages_streaming ON messages(state) WHERE state = 1;
CREATE TABLE settings(key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
INSERT INTO chats(id, title, created_ms, updated_ms) VALUES (1, 'Mill stones', 1000, 2000);
INSERT INTO messages(id, chat_id, parent_id, role, content, state, created_ms) VALUES
  (1, 1, NULL, 1, 'What is a quern?', 0, 1000),
  (2, 1, 1, 2, 'A hand mill.', 0, 2000);
UPDATE chats SET leaf_id = 2 WHERE id = 1;
PRAGMA user_version = 1;
