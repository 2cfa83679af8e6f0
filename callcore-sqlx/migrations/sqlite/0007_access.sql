-- Invitations, tokens, and looking things up in the audit log.

-- A user is never deleted: audit rows name them.
alter table users add column disabled integer not null default 0;

-- A link signs somebody in (`sign_in`), or lets them choose a password (`invitation`).
alter table sign_in_links add column purpose text not null default 'sign_in';
create unique index one_invitation on sign_in_links (user) where purpose = 'invitation';
create index sign_in_links_of_users on sign_in_links (user);
create index sessions_of_users on sessions (user);

-- Secrets that let programs in, kept as SHA-256; a revoked token has no row. Instants are on the
-- wall clock. The owner is the user who made it, by themselves or with another token of theirs.
create table tokens (
    id blob not null primary key,
    name text not null unique,
    secret blob not null unique,
    role text not null,
    owner blob references users (id),
    created_by text not null,
    created_at integer not null,
    expires integer,
    last_used integer
) strict;
create index tokens_by_date on tokens (created_at, id);
create index tokens_of_owners on tokens (owner) where owner is not null;

create index audit_by_actor on audit (actor, at, id);
create index audit_by_object on audit (object, at, id);
create index audit_by_action on audit (action, at, id);
