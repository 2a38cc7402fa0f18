"""Look into scale compression: what it keeps, and the definition it must agree with. Not part of a Hub folder."""
