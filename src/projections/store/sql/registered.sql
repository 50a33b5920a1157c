SELECT projection, version, build FROM @.builds WHERE state = 'active' ORDER BY projection
