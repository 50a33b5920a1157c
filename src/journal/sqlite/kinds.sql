SELECT kind, version FROM kinds ORDER BY kind, version
