-- Several people may share a number in one campaign, rows are updated by later imports, and refused
-- rows are kept.

-- `clients` anew, as its old form kept a number to one client in a campaign. `added_in` is the import
-- that brought the client; `import` the one whose columns its fields have. A place is never given
-- twice, whoever was removed: lists go on after it.
create table clients_anew (
    place integer primary key autoincrement,
    id blob not null unique,
    campaign blob not null references campaigns (id),
    import blob not null references imports (id),
    added_in blob not null references imports (id),
    line integer not null,
    phone integer not null,
    name text not null,
    name_key text not null,
    external_id text,
    email text,
    zones text not null,
    fields text not null,
    tags text not null,
    active integer not null,
    consent text,
    person_key text,
    debt_key text,
    status text not null,
    attempts integer not null default 0,
    voicemails integer not null default 0,
    last_outcome text,
    last_call_at integer,
    erased_at integer,
    erased_on_dnc integer not null default 0
) strict;
insert into clients_anew (place, id, campaign, import, added_in, line, phone, name, name_key,
    external_id, email, zones, fields, tags, active, consent, person_key, debt_key, status, attempts,
    voicemails, last_outcome, last_call_at, erased_at, erased_on_dnc)
select place, id, campaign, import, import, line, phone, name, name_key,
    external_id, email, zones, fields, tags, active, consent, person_key, debt_key, status, attempts,
    voicemails, last_outcome, last_call_at, erased_at, erased_on_dnc
from clients;
drop table clients;
alter table clients_anew rename to clients;
create index clients_by_campaign on clients (campaign, place);
create index clients_by_name on clients (name_key);
create index clients_by_number on clients (phone, campaign);
create index clients_by_external_id on clients (campaign, external_id)
    where external_id is not null;
create index clients_by_import on clients (added_in, place);
create index clients_by_status on clients (campaign, status, place);
create trigger history_follows_names after update of name_key on clients
when old.name_key <> new.name_key begin
    update history set name_key = substr(new.name_key, 1, 100) where client = new.id;
end;
create trigger client_tags_insert after insert on clients when new.tags <> '[]' begin
    insert or ignore into client_tags (tag, campaign, client)
    select value, new.campaign, new.place from json_each(new.tags);
end;
create trigger client_tags_delete after delete on clients when old.tags <> '[]' begin
    delete from client_tags
    where campaign = old.campaign and client = old.place
        and tag in (select value from json_each(old.tags));
end;
create trigger client_tags_update after update of tags on clients when old.tags <> new.tags begin
    delete from client_tags
    where campaign = old.campaign and client = old.place
        and tag in (select value from json_each(old.tags));
    insert or ignore into client_tags (tag, campaign, client)
    select value, new.campaign, new.place from json_each(new.tags);
end;
create trigger client_search_insert after insert on clients when new.phone > 0 begin
    insert into client_search (rowid, name_key, phone) values (new.place, new.name_key, new.phone);
end;
create trigger client_search_delete after delete on clients when old.phone > 0 begin
    insert into client_search (client_search, rowid, name_key, phone)
    values ('delete', old.place, old.name_key, old.phone);
end;
-- One trigger does both, as nothing says in which order two would.
create trigger client_search_update after update of name_key, phone on clients
when old.phone > 0 and new.phone > 0 begin
    insert into client_search (client_search, rowid, name_key, phone)
    values ('delete', old.place, old.name_key, old.phone);
    insert into client_search (rowid, name_key, phone) values (new.place, new.name_key, new.phone);
end;
create trigger client_search_leave after update of name_key, phone on clients
when old.phone > 0 and new.phone <= 0 begin
    insert into client_search (client_search, rowid, name_key, phone)
    values ('delete', old.place, old.name_key, old.phone);
end;

-- What an import does with rows about people who are in already.
alter table imports add column duplicates text not null default '{}';

-- Refused rows as they were, in the order they came. `digits` are those of the row's number, so that
-- it is found when the person is erased.
create table import_rejects (
    place integer primary key,
    import blob not null references imports (id),
    line integer not null,
    rejection text not null,
    cells text not null,
    digits text not null
) strict;
create index import_rejects_by_import on import_rejects (import, place);
create index import_rejects_by_digits on import_rejects (digits) where digits <> '';

-- Imports that are being taken back and have clients left to remove.
create table undoing (
    import blob not null primary key
) strict, without rowid;
