"""What people read: tables and sentences made from rows. Nothing here computes a fact or opens a file."""
