UPDATE @.runner SET epoch = epoch + 1 RETURNING epoch
