"""What analytics may know of a recipient beyond a hash: the carrier by look-up, and what a tenant opted in
to."""
