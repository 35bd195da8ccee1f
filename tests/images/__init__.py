"""The images that the tests run servers in, made from Debian packages and Go modules: no image is pulled."""
