"""A page with live blocks: a query of its user, a paginated list, a form; its view fails on request."""
