"""Many problems of one design, moved through Newton's steps together."""
