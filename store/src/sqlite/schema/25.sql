-- The dead letters of one destination in the order of their keys.
CREATE INDEX deliveries_dead ON deliveries (destination) WHERE status = 'dead';
