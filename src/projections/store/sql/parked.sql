SELECT partition, position FROM @.parked ORDER BY partition, position
