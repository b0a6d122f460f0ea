"""What tests of several folders share: inputs, servers, jobs for workers. Imported as ``helpers.…``."""
