"""Something running at an address: servers, proxies and the service under test."""
