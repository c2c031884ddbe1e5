select nextval('runs');
