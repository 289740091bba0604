"""Everything that stands in for the outside world on one machine; the product never imports it."""
