"""Where a paper market comes from: a recording, or a seeded synthetic flow, played into the core."""
