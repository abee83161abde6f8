//! QUIC versions 1 and 2 (RFC 9000, RFC 9369): datagrams come in, handshake messages go out.
