"""The ground floor: names, time windows, table specs and the one reader of the event log, which all layers share."""
