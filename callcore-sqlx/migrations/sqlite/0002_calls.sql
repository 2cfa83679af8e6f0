-- What lists of calls and clients are sorted by and searched for.

-- Of an ended call: how its client's name sorts (the first hundred characters, in lower case; empty
-- for a stranger), and how long somebody was on the line.
alter table history add column name_key text not null default '';
alter table history add column talk_seconds integer not null default 0;
update history set name_key = substr(clients.name_key, 1, 100)
from clients where clients.id = history.client;
update history set talk_seconds = talked.seconds
from (
    select call, max(body ->> '$.kind.talk_seconds') as seconds from call_events
    where body ->> '$.kind.kind' = 'ended' group by call
) as talked
where talked.call = history.id;
create trigger history_follows_names after update of name_key on clients
when old.name_key <> new.name_key begin
    update history set name_key = substr(new.name_key, 1, 100) where client = new.id;
end;
create index history_by_name on history (name_key, id);
create index history_by_duration on history (talk_seconds, id);
create index history_by_campaign_and_name on history (campaign, name_key, id);
create index history_by_campaign_and_duration on history (campaign, talk_seconds, id);
create index history_by_number on history (phone, ended_at, id) where phone is not null;

-- The tags of clients, each with its client's place: the rows of `clients` say the same.
create table client_tags (
    tag text not null,
    campaign blob not null,
    client integer not null,
    primary key (tag, campaign, client)
) strict, without rowid;
insert into client_tags (tag, campaign, client)
select tags.value, clients.campaign, clients.place from clients, json_each(clients.tags) as tags;
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

create index clients_by_status on clients (campaign, status, place);
