"""A feed, an action and a job whose queries never end, for tests of what that holds up."""
