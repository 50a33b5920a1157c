SELECT epoch FROM @.runner
