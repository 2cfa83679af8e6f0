-- Mails: what people are told, and what became of it.
--
-- Mails wait by the wall clock; notices are the campaign clock's.

-- The mail that tells of a notice.
alter table outbox add column mail blob;
create index outbox_by_date on outbox (at, id);
create index outbox_unmailed on outbox (kind, place) where mail is null;

create table mails (
    id blob not null primary key,
    key text not null unique,
    kind text not null,
    receivers text not null,
    receiver_count integer not null,
    subject text not null,
    -- Forgotten once the mail is settled.
    text text,
    html text,
    -- The same without anybody's name or number, where the words have one.
    bare_text text,
    bare_html text,
    state text not null,
    reason text,
    attempts integer not null default 0,
    queued_at integer not null,
    -- When it is tried next, or was settled.
    at integer not null,
    epoch integer not null default 0,
    lease_until integer,
    -- Since when it may have been sent.
    doubt_since integer
) strict;
create index mails_by_date on mails (queued_at, id);
create index mails_waiting on mails (at, id) where state = 'waiting';
create index mails_waiting_by_kind on mails (kind) where state = 'waiting';

-- Whose names or numbers a waiting mail has.
create table mail_people (
    phone integer not null,
    mail blob not null,
    primary key (phone, mail)
) strict, without rowid;
create index mail_people_by_mail on mail_people (mail);

-- Mails sent, each receiver as one, by day of the wall clock in UTC.
create table mails_sent (
    day text not null primary key,
    mails integer not null
) strict, without rowid;

create index campaigns_by_end on campaigns (ended_at) where ended_at is not null;
