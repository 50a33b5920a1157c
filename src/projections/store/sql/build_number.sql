UPDATE @.counter SET next = next + 1 RETURNING next - 1
