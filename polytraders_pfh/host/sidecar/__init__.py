"""A host beside any bot: whose orders it looks after, by which rules, and what it asks before it starts.

config         `[sidecar]`: rules in order
adoption       an order gets the strategy of its rule
gates_config   `[gates]`: evidence, and a person's word
promotion      may this mode act here?
preflight      is it the exchange, do the credentials hold, is it the right wallet?
check          what a config means, in words
example_files  commented files to begin with
"""
