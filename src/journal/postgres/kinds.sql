SELECT kind, version FROM log.kinds ORDER BY kind, version
