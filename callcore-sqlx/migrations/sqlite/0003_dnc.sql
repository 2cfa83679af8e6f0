-- Lists of numbers not to call, erasing people, keeping words no longer than allowed.

-- Of a person who was erased: when, and whether a DNC entry covered the number then. `phone` has the
-- client's place with a minus from then on, so that it is still one of its own in the campaign.
alter table clients add column erased_at integer;
alter table clients add column erased_on_dnc integer not null default 0;

-- Whoever was erased is in no index, and what leaves an index leaves nothing of itself behind.
insert into client_search (client_search, rank) values ('secure-delete', 1);
drop trigger client_search_insert;
drop trigger client_search_delete;
drop trigger client_search_update;
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

-- Calls of strangers by their number, for erasing whoever has it.
create index history_of_strangers_by_number on history (phone) where client is null;

-- Calls whose words were erased: what comes late is dropped. `phone` and `dialled_at` are the dial's
-- row in `number_dials`, which caps look back to; they go together. `number` is 1 if the call's
-- number goes too.
create table erased_calls (
    call blob not null primary key,
    number integer not null,
    phone integer,
    dialled_at integer
) strict, without rowid;
create index erased_calls_by_dial on erased_calls (dialled_at) where dialled_at is not null;

-- Recordings the carrier has to delete: how often it was asked, and when (wall clock) it is next.
create table recording_deletions (
    reference text not null primary key,
    tries integer not null,
    next_try integer not null
) strict, without rowid;
create index recording_deletions_by_try on recording_deletions (next_try);

-- How far retention has come: clients by campaign, and calls by their end.
create table retained_clients (
    campaign blob not null primary key,
    place integer not null
) strict, without rowid;
create table retained_calls (
    id integer primary key check (id = 1),
    ended_at integer not null,
    call blob not null
) strict;

-- Audit rows are not changed, with one exception: texts in them may be replaced by the word that
-- says so. Every other value stays, and none comes or goes.
drop trigger audit_is_not_changed;
create trigger audit_is_not_changed before update on audit
when not (
    new.id is old.id and new.at is old.at and new.actor is old.actor and new.action is old.action
    and (new.object is old.object or new.object = '[erased]')
    and (new.old is null) = (old.old is null)
    and (new.new is null) = (old.new is null)
    and not exists (
        select type, fullkey, case when type in ('array', 'object') then null else atom end
        from json_tree(new.old)
        where not (type = 'text' and atom = '[erased]')
        except
        select type, fullkey, case when type in ('array', 'object') then null else atom end
        from json_tree(old.old)
    )
    and not exists (
        select fullkey from json_tree(old.old) except select fullkey from json_tree(new.old)
    )
    and not exists (
        select fullkey from json_tree(new.old) as erased where atom = '[erased]' and not exists (
            select 1 from json_tree(old.old) as was
            where was.fullkey = erased.fullkey and was.type = 'text')
    )
    and not exists (
        select type, fullkey, case when type in ('array', 'object') then null else atom end
        from json_tree(new.new)
        where not (type = 'text' and atom = '[erased]')
        except
        select type, fullkey, case when type in ('array', 'object') then null else atom end
        from json_tree(old.new)
    )
    and not exists (
        select fullkey from json_tree(old.new) except select fullkey from json_tree(new.new)
    )
    and not exists (
        select fullkey from json_tree(new.new) as erased where atom = '[erased]' and not exists (
            select 1 from json_tree(old.new) as was
            where was.fullkey = erased.fullkey and was.type = 'text')
    )
)
begin
    select raise(abort, 'audit rows are not changed');
end;

-- Any three digits of a number on the list. A number is in it once, whatever its scopes.
create virtual table dnc_search using fts5 (
    phone, content = '', tokenize = 'trigram', detail = none, columnsize = 0
);
create trigger dnc_search_insert after insert on dnc
when not exists (select 1 from dnc where phone = new.phone and campaign <> new.campaign) begin
    insert into dnc_search (rowid, phone) values (new.phone, new.phone);
end;
create trigger dnc_search_delete after delete on dnc
when not exists (select 1 from dnc where phone = old.phone) begin
    insert into dnc_search (dnc_search, rowid, phone) values ('delete', old.phone, old.phone);
end;
insert into dnc_search (rowid, phone) select distinct phone, phone from dnc;

-- Lists of numbers that came in, with their reports. An empty campaign is everywhere.
create table dnc_imports (
    id blob not null primary key,
    campaign blob not null,
    file_name text not null,
    added_by text not null,
    status text not null,
    report text not null
) strict;
create index dnc_imports_running on dnc_imports (id) where status = 'running';
