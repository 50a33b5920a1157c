SELECT position FROM @.cursors ORDER BY partition
