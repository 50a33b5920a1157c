SELECT @now AS moment
