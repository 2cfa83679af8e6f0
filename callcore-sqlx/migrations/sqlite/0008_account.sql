-- The account as a whole: one row.
create table account (
    id integer primary key check (id = 1),
    settings_version integer not null,
    -- The zone of days while the settings name none.
    server_zone text not null,
    -- The switch that stops all dialling: who threw it, when and why.
    stopped_at integer,
    stopped_by text,
    stop_reason text
) strict;
insert into account (id, settings_version, server_zone) values (1, 1, 'UTC');

-- A version is never changed. The first is all defaults.
create table account_settings (
    version integer not null primary key,
    document text not null
) strict;
insert into account_settings (version, document) values (1, '{}');
