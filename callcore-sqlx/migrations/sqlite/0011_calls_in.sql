-- A number that is calling in is on the line, too: nobody dials it meanwhile.

drop index in_flight_by_number;
create index in_flight_by_number on in_flight (phone);
